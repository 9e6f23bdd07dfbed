import os


class Config:
    SECRET_KEY = os.environ["SECRET_KEY"]
    SQLALCHEMY_DATABASE_URI = os.environ["DATABASE_URL"]
    CURRENCY = os.environ.get("SHOP_CURRENCY", "EUR")
    PAGE_SIZE = int(os.environ["SHOP_PAGE_SIZE"])
