from flask import Blueprint, current_app, jsonify, render_template, request

from shop.extensions import db
from shop.models import Order

bp = Blueprint("orders", __name__)


@bp.get("/")
def index():
    orders = Order.query.order_by(Order.id).limit(current_app.config["PAGE_SIZE"]).all()
    return jsonify([{"id": each.id, "number": each.number, "paid": each.paid} for each in orders])


@bp.post("/")
def create():
    order = Order(number=request.get_json()["number"])
    db.session.add(order)
    db.session.commit()
    return {"id": order.id}, 201


@bp.get("/<int:order_id>.html")
def show(order_id):
    return render_template("order.html", order=db.get_or_404(Order, order_id))
