// The dispatchers' chat: a WebSocket that is opened again whenever it ends.

const here = document.querySelector("script[data-chat]").dataset;
const drawer = document.getElementById("chat");
const said = document.getElementById("chat-said");
const problem = document.getElementById("chat-problem");
const unread = document.getElementById("chat-unread");
const form = document.getElementById("chat-form");
const field = document.getElementById("chat-text");
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

let socket = null;
let last = 0;
let waiting = 0;
let patience = 500; // milliseconds until the next attempt

function show(message) {
  if (message.id <= last) return; // a newcomer's history may overlap
  last = message.id;
  const item = document.createElement("li");
  item.classList.toggle("own", message.author === here.name);
  const head = document.createElement("small");
  head.textContent = `${message.author} · ${clock.format(new Date(message.sent_at))}`;
  const text = document.createElement("p");
  text.textContent = message.text;
  item.append(head, text);
  said.append(item);
  said.scrollTop = said.scrollHeight;
}

function count(more) {
  waiting = drawer.open ? 0 : waiting + more;
  unread.textContent = waiting;
  unread.hidden = waiting === 0;
}

function complain(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

function connect() {
  const address = new URL(here.chat, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.addEventListener("open", () => {
    patience = 500;
    complain("");
    drawer.dataset.state = "open";
  });
  socket.addEventListener("message", (event) => {
    const told = JSON.parse(event.data);
    if (told.type === "history") told.messages.forEach(show);
    else if (told.type === "message") {
      show(told.message);
      if (told.message.author !== here.name) count(1);
    } else complain(told.text);
  });
  socket.addEventListener("close", () => {
    drawer.dataset.state = "closed";
    setTimeout(connect, patience);
    patience = Math.min(patience * 2, 30_000);
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) {
    complain("Not connected. Your message is kept; send it again in a moment.");
    return;
  }
  complain("");
  socket.send(JSON.stringify({ text: field.value }));
  field.value = "";
});
drawer.addEventListener("toggle", () => {
  count(0);
  said.scrollTop = said.scrollHeight;
  if (drawer.open) field.focus();
});
connect();
