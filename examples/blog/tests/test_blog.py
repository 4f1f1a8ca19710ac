"""EX-06, TMPL-37, STAT-16: a blog of a few pages."""

from pathlib import Path

import pytest

BLOG = Path(__file__).parent.parent


@pytest.fixture
def blog(load):
    return load()


@pytest.fixture
def client(blog):
    return blog.app.test_client()


def test_the_home_page_links_to_the_newest_post(client):
    """EX-06: the home page links to the newest post."""
    page = client.get("/").text
    assert '<a href="/posts/templates">Templates that inherit</a>' in page
    assert "<title>Glass and Basket</title>" in page


def test_the_posts_page_lists_newest_first_with_escaped_titles(client):
    """TMPL-37: the posts page lists newest first with escaped titles."""
    page = client.get("/posts/").text
    assert page.index("Templates that inherit") < page.index("Glass &amp; basket")
    assert "12 April 2024" in page
    assert "<title>Posts | Glass and Basket</title>" in page


def test_the_posts_page_without_posts_says_so(blog, client):
    blog.POSTS.clear()
    assert "Nothing yet." in client.get("/posts/").text


def test_a_post_page_escapes_its_body(client):
    page = client.get("/posts/templates").text
    assert "&lt;head&gt; and navigation" in page
    assert '<time datetime="2024-04-12">' in page


def test_navigation_marks_the_page_that_is_shown(client):
    assert 'href="/about" aria-current="page"' in client.get("/about").text
    assert 'href="/about" aria-current="page"' not in client.get("/posts/").text


def test_a_child_adds_to_the_footer_of_its_parent(client):
    assert (
        "<footer>Glass and Basket, with a footer of its own</footer>" in client.get("/about").text
    )


def test_the_list_without_its_slash_redirects_to_it(client):
    response = client.get("/posts", follow_redirects=True)
    assert response.history[0].status_code == 308
    assert response.request.path == "/posts/"


def test_an_unknown_url_gets_the_404_page(client):
    """EX-06: an unknown URL gets the 404 page."""
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert "<h1>Page not found</h1>" in response.text
    assert '<a href="/posts/"' in response.text


def test_an_unknown_post_gets_the_404_page_with_its_name_escaped(client):
    response = client.get("/posts/<script>")
    assert response.status_code == 404
    assert "no post called “&lt;script&gt;”" in response.text


def test_a_broken_view_gets_the_500_page_without_details(blog, client):
    blog.POSTS[0]["day"] = None
    response = client.get("/posts/")
    assert response.status_code == 500
    assert "<h1>Something went wrong</h1>" in response.text
    assert "TypeError" not in response.text


def test_the_style_sheet_arrives_byte_for_byte(client):
    """STAT-16: the style sheet arrives byte for byte."""
    with client.get("/static/style.css") as response:
        assert response.mimetype == "text/css"
        assert response.data == (BLOG / "static" / "style.css").read_bytes()
