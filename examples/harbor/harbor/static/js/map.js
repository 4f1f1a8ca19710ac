// The live map: all vessels, and the list beside it.
/* global L */
import { Feed, Ship, ageOf, arrangeNames, courseText, createChart, latitude, longitude, readData, shipShape, statusOf, turn } from "./chart.js";

const map = createChart(document.getElementById("map"));
const list = document.getElementById("vessels");
const search = document.getElementById("search");
const ships = new Map();
const rows = new Map();
let chosen = null;
let vessels = [];

function row(vessel) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.imo = vessel.imo;
  const needle = shipShape("needle");
  const who = document.createElement("span");
  who.className = "who";
  const name = document.createElement("strong");
  const facts = document.createElement("small");
  who.append(name, facts);
  const age = document.createElement("span");
  age.className = "age";
  button.append(needle, who, age);
  button.addEventListener("click", () => choose(vessel.imo, true));
  item.append(button);
  list.append(item);
  return { item, button, needle: needle.firstElementChild, name, facts, age };
}

function popup(vessel) {
  const box = document.createElement("div");
  box.className = "popup";
  const name = document.createElement("strong");
  name.textContent = vessel.name;
  const where = document.createElement("p");
  where.textContent = `${latitude(vessel.lat)}, ${longitude(vessel.lon)}`;
  const link = document.createElement("a");
  link.href = vessel.url;
  link.textContent = "Show track";
  box.append(name, where, link);
  return box;
}

function choose(imo, travel) {
  chosen = imo;
  const ship = ships.get(imo);
  if (ship) {
    const { marker, vessel } = ship;
    if (!marker.getPopup()) marker.bindPopup(popup(vessel), { offset: [0, -8], autoPan: !travel });
    marker.setPopupContent(popup(vessel)).openPopup();
    if (travel) map.flyTo(marker.getLatLng(), Math.max(map.getZoom(), 6), { duration: 0.8 });
  }
  paint();
}

map.on("popupclose", () => {
  chosen = null;
  paint();
});

function paint() {
  const now = feed ? feed.now() : Date.now();
  const wanted = search.value.trim().toLowerCase();
  let shown = 0;
  for (const vessel of vessels) {
    if (!rows.has(vessel.imo)) rows.set(vessel.imo, row(vessel));
    const view = rows.get(vessel.imo);
    const status = statusOf(vessel, now);
    view.name.textContent = vessel.name;
    view.facts.textContent = `${vessel.imo} · ${courseText(vessel.course)}`;
    view.age.textContent = ageOf(vessel, now);
    turn(view.needle, vessel.course);
    view.item.className = status;
    view.button.setAttribute("aria-pressed", String(vessel.imo === chosen));
    view.item.hidden = !`${vessel.name} ${vessel.imo}`.toLowerCase().includes(wanted);
    shown += view.item.hidden ? 0 : 1;
    ships.get(vessel.imo)?.mark(status, vessel.imo === chosen);
  }
  arrangeNames(map, [...ships.values()]);
  document.getElementById("count").textContent = vessels.length;
  document.getElementById("empty").hidden = shown > 0;
}

function update(fresh) {
  vessels = fresh;
  for (const vessel of fresh) {
    if (vessel.lat === null) continue;
    const ship = ships.get(vessel.imo);
    if (ship) ship.move(vessel);
    else ships.set(vessel.imo, new Ship(map, vessel, () => choose(vessel.imo, false)));
    if (vessel.imo === chosen) ships.get(chosen).marker.setPopupContent(popup(vessel));
  }
  paint();
}

let feed = null;
update(readData("fleet"));
const places = vessels.filter((vessel) => vessel.lat !== null).map((vessel) => [vessel.lat, vessel.lon]);
if (places.length) map.fitBounds(L.latLngBounds(places), { padding: [45, 45], maxZoom: 7, animate: false });
map.on("zoomend", () => arrangeNames(map, [...ships.values()]));
search.addEventListener("input", paint);
feed = new Feed(update);
setInterval(paint, 1000);
