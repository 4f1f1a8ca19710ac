from markupsafe import escape

from carboy import Carboy, jsonify

app = Carboy(__name__)


@app.route("/")
def home():
    return "<h1>Hello, World!</h1>"


@app.route("/about")
def about():
    return "<p>A first application with four routes.</p>"


@app.route("/status")
def status():
    return jsonify(status="ok")


@app.route("/hello/<name>")
def hello(name):
    return f"<p>Hello, {escape(name)}!</p>"


if __name__ == "__main__":
    app.run()
