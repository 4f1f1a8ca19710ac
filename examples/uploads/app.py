import uuid
from pathlib import Path

from werkzeug.utils import secure_filename

from carboy import (
    Carboy,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)

ALLOWED_EXTENSIONS = {"csv", "gif", "jpg", "jpeg", "pdf", "png", "txt"}


def allowed_file(filename):
    return "." in filename and filename.rsplit(".", 1)[1].lower() in ALLOWED_EXTENSIONS


def stored_name(filename):
    """A name that is safe on disk and that no other upload has."""
    return f"{uuid.uuid4().hex[:12]}_{secure_filename(filename)}"


def create_app(config=None):
    app = Carboy(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 2 * 1024 * 1024
    app.config["UPLOAD_FOLDER"] = str(Path(app.instance_path) / "uploads")
    app.config.update(config or {})
    folder = Path(app.config["UPLOAD_FOLDER"])
    folder.mkdir(parents=True, exist_ok=True)

    @app.get("/")
    def form():
        names = sorted(path.name for path in folder.iterdir())
        return render_template("uploads.html", names=names)

    @app.post("/")
    def upload():
        files = request.files.getlist("file")
        if not files:
            abort(400, description="The form has no part called “file”.")
        if any(file.filename == "" for file in files):
            abort(400, description="No file was chosen.")
        for file in files:
            if not allowed_file(file.filename) or not secure_filename(file.filename):
                abort(400, description="This kind of file is not accepted.")
        for file in files:
            file.save(folder / stored_name(file.filename))
        return redirect(url_for("form"), code=303)

    @app.get("/files/<name>")
    def download(name):
        # A stranger's file is never shown as a page of ours.
        response = send_from_directory(
            current_app.config["UPLOAD_FOLDER"], name, as_attachment=True
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.errorhandler(413)
    def too_large(error):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        return f"<p>At most {limit // 1024} KiB at a time.</p>", 413

    return app
