import csv
import io
import json
import math
import time

from carboy import Carboy, Response, request, stream_with_context

app = Carboy(__name__)
app.config["TICK_SECONDS"] = 1.0
app.config["TRACK_LENGTH"] = 10_000

COLUMNS = ("number", "lat", "lon", "note")


def track(length):
    """A made-up voyage, one position at a time."""
    for number in range(length):
        angle = number / 50
        note = "turn, hard" if number % 100 == 0 else ""
        yield number, round(48 + math.sin(angle), 4), round(-5 + math.cos(angle), 4), note


def csv_lines(columns, rows):
    """The lines of a CSV file, quoted where needed, as the rows come."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for row in rows:
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(row)
    yield buffer.getvalue()


@app.get("/track.csv")
def export():
    lines = csv_lines(COLUMNS, track(app.config["TRACK_LENGTH"]))
    headers = {"Content-Disposition": "attachment; filename=track.csv"}
    return Response(lines, mimetype="text/csv", headers=headers)


def event(data, name=None, number=None):
    """One server-sent event."""
    lines = [] if number is None else [f"id: {number}"]
    lines += [] if name is None else [f"event: {name}"]
    return "\n".join([*lines, f"data: {json.dumps(data)}", "", ""])


@app.get("/events")
def events():
    # A browser that reconnects says which event it saw last.
    first = request.headers.get("Last-Event-ID", -1, type=int) + 1

    @stream_with_context
    def ticks():
        # `request` still works here, although the view has returned.
        yield event({"for": request.args.get("ship", "all")}, name="hello")
        for number, lat, lon, _note in track(app.config["TRACK_LENGTH"]):
            if number >= first:
                yield event({"lat": lat, "lon": lon}, number=number)
                time.sleep(app.config["TICK_SECONDS"])

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(ticks(), mimetype="text/event-stream", headers=headers)


if __name__ == "__main__":
    app.run()
