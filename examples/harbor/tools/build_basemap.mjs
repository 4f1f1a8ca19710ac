// Makes harbor/static/data/land.json, the map's base layer, from Natural Earth's 1:10m land.
//
//   npm install --no-save world-atlas@2.0.2 topojson-client@3.1.0
//   node examples/harbor/tools/build_basemap.mjs
//
// Detail is spent where Harbor's fleet sails: European waters keep small islands and inlets, the
// rest of the world is reduced to its outline.  Natural Earth is in the public domain; world-atlas,
// which packages it as TopoJSON, is ISC (https://github.com/topojson/world-atlas).

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(process.cwd(), "package.json"));
const { feature, mesh } = require("topojson-client");
const load = (name) => JSON.parse(readFileSync(require.resolve(`world-atlas/${name}`), "utf8"));

const FINE_BOX = { west: -13, south: 34, east: 31, north: 66 };
const FINE = { area: 0.00012, islet: 0.0015, digits: 3 };
const COARSE = { area: 0.04, islet: 0.3, digits: 2 };

const isFine = ([lon, lat]) =>
  lon > FINE_BOX.west && lon < FINE_BOX.east && lat > FINE_BOX.south && lat < FINE_BOX.north;
const settings = (point) => (isFine(point) ? FINE : COARSE);
const triangle = (a, b, c) =>
  Math.abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) / 2;

function ringArea(ring) {
  let sum = 0;
  for (let i = 0; i + 1 < ring.length; i += 1) {
    sum += ring[i][0] * ring[i + 1][1] - ring[i + 1][0] * ring[i][1];
  }
  return Math.abs(sum) / 2;
}

// Visvalingam–Whyatt: drop the point that spans the smallest triangle until all are big enough,
// where "big enough" depends on the place.  A linear scan per removal would be quadratic, so
// passes over the line drop each small point whose neighbours stay.
function simplify(line) {
  let points = line;
  for (;;) {
    const kept = [points[0]];
    let dropped = 0;
    for (let i = 1; i + 1 < points.length; i += 1) {
      const small =
        triangle(points[i - 1], points[i], points[i + 1]) < settings(points[i]).area &&
        kept[kept.length - 1] === points[i - 1];
      if (small) dropped += 1;
      else kept.push(points[i]);
    }
    kept.push(points[points.length - 1]);
    if (dropped === 0 || kept.length < 5) return points;
    points = kept;
  }
}

function round(line) {
  const out = [];
  for (const point of line) {
    const { digits } = settings(point);
    const next = [Number(point[0].toFixed(digits)), Number(point[1].toFixed(digits))];
    const last = out[out.length - 1];
    if (!last || last[0] !== next[0] || last[1] !== next[1]) out.push(next);
  }
  return out;
}

// TopoJSON's rings run on across the antimeridian, which a flat map would show as a line around the
// world.  First longitudes are made to run on past 180°; a ring that circles the pole is closed there.
function unwrap(ring) {
  let turns = 0;
  const out = ring.map(([lon, lat], index) => {
    if (index > 0) turns -= Math.round((lon - ring[index - 1][0]) / 360);
    return [lon + 360 * turns, lat];
  });
  const first = out[0];
  const last = out[out.length - 1];
  if (Math.abs(first[0] - last[0]) > 180) out.push([last[0], -90], [first[0], -90], first);
  return out;
}

// Then the ring is cut at each edge of the map (Sutherland–Hodgman), and each part put in its place.
function clip(ring, edge, sign) {
  const inside = ([lon]) => sign * (lon - edge) >= 0;
  const out = [];
  for (let i = 0; i + 1 < ring.length; i += 1) {
    const [from, to] = [ring[i], ring[i + 1]];
    if (inside(from)) out.push(from);
    if (inside(from) !== inside(to)) {
      const share = (edge - from[0]) / (to[0] - from[0]);
      out.push([edge, from[1] + (to[1] - from[1]) * share]);
    }
  }
  if (out.length) out.push(out[0]);
  return out;
}

function parts(rings) {
  const found = [];
  for (let turn = -1; turn <= 1; turn += 1) {
    const shifted = rings.map((ring) => ring.map(([lon, lat]) => [lon + 360 * turn, lat]));
    const cut = shifted
      .map((ring) => clip(clip(ring, -180, 1), 180, -1))
      .filter((ring) => ring.length > 3 && ringArea(ring) > 0);
    if (cut.length) found.push(cut);
  }
  return found;
}

const land10 = load("land-10m.json");
const polygons = [];
for (const item of feature(land10, land10.objects.land).features ?? [
  feature(land10, land10.objects.land),
]) {
  const { type, coordinates } = item.geometry;
  for (const polygon of type === "Polygon" ? [coordinates] : coordinates) {
    for (const part of parts(polygon.map(unwrap))) {
      if (ringArea(part[0]) < settings(part[0][0]).islet) continue;
      const rings = part
        .filter((ring, index) => index === 0 || ringArea(ring) > settings(ring[0]).islet)
        .map((ring) => round(simplify(ring)))
        .filter((ring) => ring.length > 3);
      if (rings.length) polygons.push(rings);
    }
  }
}

const countries = load("countries-50m.json");
const borders = mesh(countries, countries.objects.countries, (a, b) => a !== b)
  .coordinates.map((line) => round(simplify(line)))
  .filter((line) => line.length > 1);

const map = {
  type: "FeatureCollection",
  features: [
    {
      type: "Feature",
      properties: { kind: "land" },
      geometry: { type: "MultiPolygon", coordinates: polygons },
    },
    {
      type: "Feature",
      properties: { kind: "borders" },
      geometry: { type: "MultiLineString", coordinates: borders },
    },
  ],
};
const target = join(here, "..", "harbor", "static", "data", "land.json");
writeFileSync(target, `${JSON.stringify(map)}\n`);
const count = polygons.flat().reduce((sum, ring) => sum + ring.length, 0);
console.log(`${polygons.length} polygons, ${count} points, ${borders.length} borders -> ${target}`);
