"""How long a multipart boundary may be."""

from __future__ import annotations

import pytest

from carboy import Carboy, request


@pytest.mark.parametrize(("length", "status"), [(70, 200), (71, 200), (128, 200), (129, 400)])
def test_a_boundary_somewhat_over_the_rfcs_length_is_read(length: int, status: int) -> None:
    app = Carboy("t")
    app.add_url_rule("/", "form", lambda: request.form["a"], methods=["POST"])
    boundary = "b" * length
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    response = app.test_client().post(
        "/",
        data=f"{part}--{boundary}--\r\n",
        content_type=f"multipart/form-data; boundary={boundary}",
    )
    assert response.status_code == status
