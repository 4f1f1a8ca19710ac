from werkzeug.exceptions import HTTPException

from carboy import Blueprint, Carboy, abort, current_app, jsonify, request, url_for
from carboy.views import MethodView

FIELDS = {"name": str, "email": str}

PRODUCTS = [
    {"id": 1, "name": "Glass carboy", "price": 39.5},
    {"id": 2, "name": "Wicker basket", "price": 24.0},
    {"id": 3, "name": "Glass stopper", "price": 4.25},
]


class Users:
    """Users kept in memory, in the order in which they came."""

    def __init__(self):
        self.by_id = {}
        self.last_id = 0

    def add(self, fields):
        self.last_id += 1
        self.by_id[self.last_id] = {"id": self.last_id, **fields}
        return self.by_id[self.last_id]

    def get_or_404(self, user_id):
        if user_id not in self.by_id:
            abort(404, description=f"There is no user {user_id}.")
        return self.by_id[user_id]


class UserError(Exception):
    """A payload that is JSON but not a user; `errors` says why, field by field."""

    def __init__(self, errors):
        super().__init__(errors)
        self.errors = errors


def payload(partial=False):
    """The fields of the request's JSON body, all of them unless `partial`."""
    data = request.get_json()
    if not isinstance(data, dict):
        raise UserError({"body": "must be an object"})
    errors = {name: "is not a field" for name in data if name not in FIELDS}
    for name, kind in FIELDS.items():
        if name not in data:
            if not partial:
                errors[name] = "is missing"
        elif not isinstance(data[name], kind) or not data[name].strip():
            errors[name] = "must be text that is not empty"
    if errors:
        raise UserError(errors)
    return data


class UserList(MethodView):
    def __init__(self, users):
        self.users = users

    def get(self):
        return list(self.users.by_id.values())

    def post(self):
        user = self.users.add(payload())
        location = url_for(".user", user_id=user["id"])
        return user, 201, {"Location": location}


class UserDetail(MethodView):
    def __init__(self, users):
        self.users = users

    def get(self, user_id):
        return self.users.get_or_404(user_id)

    def put(self, user_id):
        user = self.users.get_or_404(user_id)
        user.update(payload())
        return user

    def patch(self, user_id):
        user = self.users.get_or_404(user_id)
        user.update(payload(partial=True))
        return user

    def delete(self, user_id):
        self.users.get_or_404(user_id)
        del self.users.by_id[user_id]
        return "", 204


def users_blueprint(users):
    api = Blueprint("users", __name__, url_prefix="/users")
    api.add_url_rule("", view_func=UserList.as_view("users", users))
    api.add_url_rule("/<int:user_id>", view_func=UserDetail.as_view("user", users))
    return api


store = Blueprint("store", __name__, url_prefix="/products")


@store.get("")
def search():
    words = request.args.get("q", "").lower()
    highest = request.args.get("max_price", type=float)
    if highest is None and "max_price" in request.args:
        abort(400, description="max_price must be a number.")
    return [
        product
        for product in current_app.config["PRODUCTS"]
        if words in product["name"].lower() and (highest is None or product["price"] <= highest)
    ]


@store.get("/<int:product_id>")
def product(product_id):
    found = [p for p in current_app.config["PRODUCTS"] if p["id"] == product_id]
    if not found:
        abort(404, description=f"There is no product {product_id}.")
    return found[0]


def create_app(config=None):
    app = Carboy(__name__)
    app.config["PRODUCTS"] = PRODUCTS
    app.config.update(config or {})
    # Two versions of one API: the second is where changes will go.
    for version in ("v1", "v2"):
        part = Blueprint(version, __name__, url_prefix=f"/api/{version}")
        part.register_blueprint(users_blueprint(Users()))
        part.register_blueprint(store)
        app.register_blueprint(part)

    @app.errorhandler(HTTPException)
    def http_error(error):
        response = error.get_response()
        response.data = app.json.dumps({"error": error.name, "description": error.description})
        response.content_type = "application/json"
        return response

    @app.errorhandler(UserError)
    def user_error(error):
        return jsonify(error="Unprocessable Entity", fields=error.errors), 422

    return app
