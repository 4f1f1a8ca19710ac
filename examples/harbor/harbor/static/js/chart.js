// The chart: base layer, ships, and the feed that moves them.  Shared by both map pages.
/* global L */

const COLOURS = { land: "#f6f1e4", coast: "#a99a76", border: "#d3c8aa", grid: "#ffffff" };

// [name, latitude, longitude, lowest zoom]
const SEAS = [
  ["North Sea", 56.2, 2.6, 4],
  ["Norwegian Sea", 64.5, 2, 4],
  ["Baltic Sea", 56.1, 19.4, 5],
  ["Bay of Biscay", 45.4, -4.1, 5],
  ["Celtic Sea", 50.3, -8.6, 5],
  ["English Channel", 50.15, -1.4, 6],
  ["ATLANTIC OCEAN", 47, -19, 3],
  ["Mediterranean Sea", 38.3, 5.8, 4],
  ["Tyrrhenian Sea", 39.9, 12.2, 6],
  ["Ionian Sea", 37.4, 18.6, 5],
  ["Adriatic Sea", 43, 15.2, 6],
  ["Aegean Sea", 38.7, 25.1, 6],
  ["Black Sea", 43.3, 34.3, 4],
  ["Gulf of Bothnia", 62, 19.8, 5],
  ["PACIFIC OCEAN", 5, -140, 2],
  ["INDIAN OCEAN", -18, 78, 2],
];
const PORTS = [
  ["Rotterdam", 51.95, 4.14],
  ["Felixstowe", 51.96, 1.35],
  ["Bergen", 60.39, 5.32],
  ["Cuxhaven", 53.87, 8.7],
  ["Gothenburg", 57.7, 11.95],
  ["Kiel", 54.33, 10.14],
  ["Klaipėda", 55.71, 21.13],
  ["Stockholm", 59.33, 18.06],
  ["Helsinki", 60.17, 24.94],
  ["Gdynia", 54.52, 18.54],
  ["Nynäshamn", 58.9, 17.95],
  ["Antwerp", 51.23, 4.4],
  ["Bilbao", 43.33, -3.03],
  ["Dublin", 53.35, -6.26],
  ["Lisbon", 38.71, -9.14],
  ["Algeciras", 36.13, -5.44],
  ["Barcelona", 41.38, 2.18],
  ["Marseille", 43.3, 5.37],
  ["Algiers", 36.77, 3.06],
  ["Genoa", 44.41, 8.93],
  ["Palermo", 38.12, 13.36],
  ["Piraeus", 37.94, 23.64],
  ["Heraklion", 35.34, 25.13],
];

export function readData(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

export function createChart(element) {
  const map = L.map(element, {
    center: [50, 6],
    zoom: 4,
    minZoom: 2,
    maxZoom: 10,
    zoomSnap: 0.25,
    zoomControl: false,
    maxBounds: [[-85, -220], [85, 220]],
    maxBoundsViscosity: 0.8,
  });
  map.attributionControl.setPrefix('<a href="https://leafletjs.com">Leaflet</a>');
  map.attributionControl.addAttribution("Made with Natural Earth");
  L.control.zoom({ position: "bottomright" }).addTo(map);
  L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
  // Markers glide between positions; while the map itself moves them they must not lag behind.
  map.on("zoomstart viewreset", () => element.classList.add("zooming"));
  map.on("zoomend", () => setTimeout(() => element.classList.remove("zooming"), 50));
  for (const name of ["grid", "land", "places"]) {
    map.createPane(name).style.pointerEvents = "none";
  }
  map.getPane("grid").style.zIndex = 210;
  map.getPane("land").style.zIndex = 220;
  map.getPane("places").style.zIndex = 450;
  drawGrid(map);
  drawPlaces(map);
  drawLand(map);
  return map;
}

function drawGrid(map) {
  const style = {
    pane: "grid",
    renderer: L.canvas({ pane: "grid", padding: 0.5 }),
    color: COLOURS.grid,
    weight: 1,
    opacity: 0.45,
    interactive: false,
  };
  for (let lon = -180; lon <= 180; lon += 5) L.polyline([[-85, lon], [85, lon]], style).addTo(map);
  for (let lat = -80; lat <= 80; lat += 5) L.polyline([[lat, -180], [lat, 180]], style).addTo(map);
}

async function drawLand(map) {
  const answer = await fetch(new URL("../data/land.json", import.meta.url));
  const renderer = L.canvas({ pane: "land", padding: 0.5 });
  L.geoJSON(await answer.json(), {
    pane: "land",
    interactive: false,
    style: (feature) =>
      feature.properties.kind === "land"
        ? { renderer, fillColor: COLOURS.land, fillOpacity: 1, color: COLOURS.coast, weight: 1 }
        : { renderer, color: COLOURS.border, weight: 1, dashArray: "3 3", fill: false },
  }).addTo(map);
  map.getContainer().dataset.land = "drawn";
}

function drawPlaces(map) {
  const layers = [
    ...SEAS.map(([name, lat, lon, zoom]) => [place(name, lat, lon, "sea"), zoom]),
    ...PORTS.map(([name, lat, lon]) => [place(name, lat, lon, "port"), 5]),
  ];
  const show = () => {
    const zoom = map.getZoom();
    for (const [layer, lowest] of layers) {
      if (zoom >= lowest) layer.addTo(map);
      else layer.remove();
    }
  };
  map.on("zoomend", show);
  show();
}

function place(name, lat, lon, kind) {
  const label = document.createElement("span");
  label.textContent = name;
  const icon = L.divIcon({ className: `place ${kind}`, html: label, iconSize: [0, 0] });
  return L.marker([lat, lon], { icon, pane: "places", interactive: false, keyboard: false });
}

export function shipShape(className) {
  const shape = document.createElement("span");
  shape.className = className;
  shape.innerHTML =
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 2c2.9 3.3 4.3 6.6 4.3 10.4V21L12 18.8 7.7 21v-8.6C7.7 8.6 9.1 5.3 12 2z"/></svg>';
  return shape;
}

/** Turns an element to a course the short way round. */
export function turn(element, course) {
  if (course === null) return;
  const before = Number(element.dataset.angle ?? course);
  const angle = before + ((((course - before) % 360) + 540) % 360) - 180;
  element.dataset.angle = angle;
  element.style.rotate = `${angle}deg`;
}

/** A ship on the chart. */
export class Ship {
  constructor(map, vessel, onClick) {
    this.shape = shipShape("ship");
    this.name = document.createElement("span");
    this.name.className = "ship-name";
    this.name.textContent = vessel.name;
    const html = document.createElement("div");
    html.append(this.shape, this.name);
    const icon = L.divIcon({ className: "ship-marker", html, iconSize: [0, 0] });
    this.marker = L.marker([vessel.lat, vessel.lon], { icon, title: vessel.name, alt: vessel.name });
    if (onClick) this.marker.on("click", onClick);
    this.marker.addTo(map);
    this.element = this.marker.getElement();
    this.element.dataset.imo = vessel.imo;
    this.wake = L.polyline([], { color: "#0c8577", weight: 2, opacity: 0.45, interactive: false });
    this.wake.addTo(map);
    this.move(vessel);
  }

  move(vessel) {
    const moved = !this.vessel || this.vessel.recorded_at !== vessel.recorded_at;
    this.vessel = vessel;
    turn(this.shape, vessel.course);
    if (!moved) return;
    this.marker.setLatLng([vessel.lat, vessel.lon]);
    this.element.dataset.lat = vessel.lat;
    this.element.dataset.lon = vessel.lon;
    this.wake.addLatLng([vessel.lat, vessel.lon]);
    if (this.wake.getLatLngs().length > 300) this.wake.getLatLngs().shift();
  }

  mark(status, chosen) {
    for (const name of ["late", "lost"]) this.element.classList.toggle(name, name === status);
    this.element.classList.toggle("chosen", chosen);
    this.marker.setZIndexOffset(chosen ? 1000 : 0);
  }
}

/** Finds a place for each ship's name where it covers no other name or ship; else hides it. */
export function arrangeNames(map, ships) {
  const taken = [];
  const spots = ships.map((ship) => {
    const { x, y } = map.latLngToContainerPoint(ship.marker.getLatLng());
    taken.push([x - 11, y - 11, x + 11, y + 11]);
    return { ship, x, y };
  });
  const free = (box) =>
    !taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
  for (const { ship, x, y } of spots) {
    const width = ship.name.offsetWidth + 4;
    const boxes = {
      right: [x + 15, y - 12, x + 15 + width, y + 12],
      left: [x - 15 - width, y - 12, x - 15, y + 12],
      above: [x - width / 2, y - 39, x + width / 2, y - 15],
      below: [x - width / 2, y + 15, x + width / 2, y + 39],
    };
    // Behind the ship first, off its way; but where the name stands now, it may stay.
    const { course } = ship.vessel;
    const sides = course !== null && course < 180 ? ["left", "right"] : ["right", "left"];
    const order = [ship.name.dataset.side, ...sides, "above", "below"];
    const side = order.find((name) => boxes[name] && free(boxes[name]));
    ship.name.dataset.side = side ?? (ship.element.classList.contains("chosen") ? "right" : "none");
    if (side) taken.push(boxes[side]);
  }
}

/**
 * The fleet as it moves, by server-sent events while the page is visible.  The browser connects
 * again by itself; where the server refuses, positions are asked for until it does not.
 */
export class Feed {
  constructor(onVessels) {
    Object.assign(this, document.querySelector("script[data-positions]").dataset);
    this.onVessels = onVessels;
    this.vessels = new Map();
    this.light = document.getElementById("feed");
    this.text = document.getElementById("feed-text");
    this.clockError = 0;
    this.failures = 0;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    this.open();
  }

  /** The server's time, in milliseconds: the visitor's clock may be wrong. */
  now() {
    return Date.now() + this.clockError;
  }

  open() {
    this.close();
    this.source = new EventSource(this.events);
    this.source.onopen = () => {
      clearTimeout(this.worry);
      this.failures = 0;
      this.say("on", "Live");
    };
    this.source.onerror = () => {
      clearTimeout(this.worry);
      this.worry = setTimeout(() => this.say("off", "Connection lost, trying again"), 2000);
      if (this.source.readyState === EventSource.CLOSED) this.ask();
    };
    this.source.addEventListener("fleet", (event) => this.takeAll(JSON.parse(event.data)));
    this.source.addEventListener("vessel", (event) => this.take(JSON.parse(event.data)));
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
  }

  takeAll({ vessels, now }) {
    const moment = Date.parse(now);
    if (Math.abs(moment - this.now()) > 2000) this.clockError = moment - Date.now();
    this.vessels = new Map(vessels.map((vessel) => [vessel.imo, vessel]));
    this.onVessels([...this.vessels.values()]);
  }

  take(vessel) {
    const known = this.vessels.get(vessel.imo);
    if (!known) {
      this.open(); // it joined the fleet: the stream begins with all of it
      return;
    }
    if (known.recorded_at && Date.parse(vessel.recorded_at) < Date.parse(known.recorded_at)) return;
    this.vessels.set(vessel.imo, { ...known, ...vessel });
    this.onVessels([...this.vessels.values()]);
  }

  /** Asks once, and then for events again. */
  async ask() {
    try {
      const answer = await fetch(this.positions, {
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(5000),
      });
      if (answer.status === 401) {
        location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
        return;
      }
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const { vessels } = await answer.json();
      this.takeAll({ vessels, now: answer.headers.get("Date") });
    } catch {
      // The light goes off by itself.
    }
    this.failures += 1;
    if (!document.hidden) this.timer = setTimeout(() => this.open(), Math.min(1000 * 2 ** this.failures, 10000));
  }

  say(state, text) {
    this.light.className = `feed ${state}`;
    if (this.text.textContent !== text) this.text.textContent = text;
  }
}

export function statusOf(vessel, now) {
  if (!vessel.recorded_at) return "lost";
  const seconds = (now - Date.parse(vessel.recorded_at)) / 1000;
  if (seconds < 60) return "live";
  return seconds < 900 ? "late" : "lost";
}

export function ageOf(vessel, now) {
  if (!vessel.recorded_at) return "never seen";
  const seconds = Math.max(0, Math.round((now - Date.parse(vessel.recorded_at)) / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

const two = (number, digits = 2) => String(number).padStart(digits, "0");

function angle(value, positive, negative, digits) {
  const tenths = Math.round(Math.abs(value) * 600);
  const minutes = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return `${two(Math.floor(tenths / 600), digits)}° ${minutes}′ ${value >= 0 ? positive : negative}`;
}

export const latitude = (value) => angle(value, "N", "S", 2);
export const longitude = (value) => angle(value, "E", "W", 3);

export function courseText(course) {
  if (course === null) return "–";
  const compass = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
  return `${two(Math.round(course) % 360, 3)}° ${compass[Math.round(course / 45) % 8]}`;
}

export function momentText(iso) {
  const at = new Date(iso);
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  return `${day}, ${at.toISOString().slice(11, 19)} UTC`;
}
