from datetime import date

from carboy import Carboy, abort, render_template

app = Carboy(__name__)

POSTS = [
    {
        "slug": "glass-and-basket",
        "title": "Glass & basket",
        "day": date(2024, 3, 1),
        "body": "A carboy is a large bottle that travels in a protective crate.",
    },
    {
        "slug": "templates",
        "title": "Templates that inherit",
        "day": date(2024, 4, 12),
        "body": "One base page, many children: <head> and navigation are written once.",
    },
]


def find_post(slug):
    return next((post for post in POSTS if post["slug"] == slug), None)


@app.template_filter("longdate")
def long_date(day):
    return f"{day.day} {day:%B %Y}"


@app.context_processor
def site():
    return {"site_name": "Glass and Basket"}


@app.route("/")
def home():
    newest = max(POSTS, key=lambda post: post["day"])
    return render_template("home.html", newest=newest)


@app.route("/posts/")
def posts():
    newest_first = sorted(POSTS, key=lambda post: post["day"], reverse=True)
    return render_template("posts.html", posts=newest_first)


@app.route("/posts/<slug>")
def post(slug):
    found = find_post(slug)
    if found is None:
        abort(404, description=f"There is no post called “{slug}”.")
    return render_template("post.html", post=found)


@app.route("/about")
def about():
    return render_template("about.html")


@app.errorhandler(404)
def not_found(error):
    return render_template("404.html", description=error.description), 404


@app.errorhandler(500)
def broken(error):
    return render_template("500.html"), 500


if __name__ == "__main__":
    app.run()
