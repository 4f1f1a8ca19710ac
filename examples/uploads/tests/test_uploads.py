"""UP-01 to UP-10, STAT-12: uploads and how they are served."""

import io

import pytest


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "uploads"


@pytest.fixture
def client(load, folder):
    config = {"UPLOAD_FOLDER": str(folder), "MAX_CONTENT_LENGTH": 4096}
    return load().create_app(config).test_client()


def upload(client, *files):
    data = {"file": [(io.BytesIO(content), name) for content, name in files]}
    return client.post("/", data=data)


def names(folder):
    """What was stored, without the prefix that makes each name unique."""
    return sorted(path.name.split("_", 1)[1] for path in folder.iterdir())


def test_a_file_is_stored_and_listed_after_a_redirect(client, folder):
    """UP-02: a file is stored and listed after a redirect."""
    response = upload(client, (b"a,b\n1,2\n", "table.csv"))
    assert (response.status_code, response.location) == (303, "/")
    [stored] = folder.iterdir()
    assert stored.read_bytes() == b"a,b\n1,2\n"
    assert f'href="/files/{stored.name}"' in client.get("/").text


def test_several_files_come_under_one_name(client, folder):
    """UP-09: several files come under one name."""
    upload(client, (b"1", "one.txt"), (b"2", "two.txt"))
    assert names(folder) == ["one.txt", "two.txt"]


def test_the_same_name_twice_overwrites_nothing(client, folder):
    """UP-10: the same name twice overwrites nothing."""
    upload(client, (b"1", "one.txt"))
    upload(client, (b"2", "one.txt"))
    assert names(folder) == ["one.txt", "one.txt"]
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [b"1", b"2"]


def test_no_file_part_is_400(client):
    """UP-03: no file part is 400."""
    response = client.post("/", data={"other": "x"})
    assert response.status_code == 400
    assert "no part called “file”" in response.text


def test_an_empty_file_name_is_400(client):
    """UP-03: an empty file name is 400."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--x--\r\n'
    response = client.post("/", data=body, content_type="multipart/form-data; boundary=x")
    assert response.status_code == 400


@pytest.mark.parametrize("name", ["run.exe", "page.html", "image.svg", "png", "a.png.php"])
def test_other_extensions_are_refused(client, folder, name):
    """UP-05: other extensions are refused."""
    assert upload(client, (b"x", name)).status_code == 400
    assert list(folder.iterdir()) == []


def test_the_extension_counts_whatever_its_case(client, folder):
    """UP-05: the extension counts whatever its case."""
    assert upload(client, (b"x", "PHOTO.JPG")).status_code == 303


def test_one_refused_file_stores_none(client, folder):
    assert upload(client, (b"x", "good.txt"), (b"x", "bad.exe")).status_code == 400
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/evil.txt", "..\\..\\evil.txt"])
def test_a_traversal_in_the_name_stays_in_the_folder(client, folder, tmp_path, name):
    """UP-04: a traversal in the name stays in the folder."""
    assert upload(client, (b"x", name)).status_code == 303
    assert [path.parent for path in tmp_path.rglob("*evil.txt")] == [folder]


def test_a_body_over_the_limit_is_413_with_our_page(client, folder):
    """UP-06: a body over the limit is 413 with our page."""
    response = upload(client, (b"x" * 5000, "big.txt"))
    assert response.status_code == 413
    assert response.text == "<p>At most 4 KiB at a time.</p>"
    assert list(folder.iterdir()) == []


def test_a_plain_form_has_no_files(client):
    """UP-08: a plain form has no files."""
    assert client.post("/", data={"file": "name.txt"}).status_code == 400


def test_a_file_is_served_as_attachment_with_nosniff(client, folder):
    """STAT-12: a file is served as attachment with nosniff."""
    (folder / "page.txt").write_bytes(b"<script>")
    with client.get("/files/page.txt") as response:
        assert response.data == b"<script>"
        assert response.headers["Content-Disposition"] == "attachment; filename=page.txt"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.mimetype == "text/plain"


@pytest.mark.parametrize("path", ["/files/..%2f..%2fapp.py", "/files/missing.txt", "/files/.."])
def test_what_is_not_in_the_folder_is_404(client, path):
    assert client.get(path).status_code == 404
