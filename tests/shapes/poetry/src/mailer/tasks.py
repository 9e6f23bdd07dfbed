import os

import humanize
from celery import Celery

celery = Celery("mailer", broker=os.environ["CELERY_BROKER_URL"])


@celery.task
def send(name):
    print("sent to", name, humanize.naturalsize(len(name)))
