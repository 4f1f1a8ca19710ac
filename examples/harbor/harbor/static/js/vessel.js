// One vessel: its track, growing while it sails.
/* global L */
import { Feed, Ship, arrangeNames, courseText, createChart, latitude, longitude, momentText, readData, statusOf } from "./chart.js";

const map = createChart(document.getElementById("map"));
const first = readData("vessel");
const track = L.polyline(readData("track"), { color: "#e2572b", weight: 3, opacity: 0.85, interactive: false });
track.addTo(map);
let ship = null;
let feed = null;

/** Puts a position on top of the table, which keeps its length. */
function log(vessel) {
  const rows = document.getElementById("log");
  if (!rows) return;
  const row = rows.rows.length < 8 ? rows.insertRow(0) : rows.insertBefore(rows.rows[7], rows.rows[0]);
  while (row.cells.length < 3) row.insertCell();
  const time = momentText(vessel.recorded_at).split(" ").at(-2);
  [time, latitude(vessel.lat), longitude(vessel.lon)].forEach((text, index) => {
    row.cells[index].textContent = text;
  });
}

function update(vessel) {
  if (vessel.lat === null) return;
  if (!ship) {
    if (!document.getElementById("lat")) {
      location.reload(); // the first position ever: the page has no room for it yet
      return;
    }
    ship = new Ship(map, vessel);
    ship.mark("live", true);
  } else if (vessel.recorded_at !== ship.vessel.recorded_at) {
    track.addLatLng([vessel.lat, vessel.lon]);
    log(vessel);
  }
  ship.move(vessel);
  ship.mark(statusOf(vessel, feed ? feed.now() : Date.now()), true);
  arrangeNames(map, [ship]);
  document.getElementById("lat").textContent = latitude(vessel.lat);
  document.getElementById("lon").textContent = longitude(vessel.lon);
  document.getElementById("course").textContent = courseText(vessel.course);
  document.getElementById("seen").textContent = momentText(vessel.recorded_at);
}

update(first);
if (first.lat !== null) {
  const bounds = track.getBounds();
  map.fitBounds((bounds.isValid() ? bounds : L.latLngBounds([])).extend([first.lat, first.lon]), {
    padding: [50, 50],
    maxZoom: 8,
    animate: false,
  });
}
feed = new Feed((vessels) => {
  const vessel = vessels.find((candidate) => candidate.imo === first.imo);
  if (vessel) update(vessel);
});
