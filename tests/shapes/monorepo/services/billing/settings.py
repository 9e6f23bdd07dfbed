import os


def load():
    return {"TAX": os.environ.get("TAX") or "0.19", "RATE_LIMIT": os.getenv("RATE_LIMIT", "10 per minute")}
