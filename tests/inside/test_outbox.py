"""Jobs stand in the database until they are done, whatever becomes of the broker and of who does them."""

import uuid
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace
from unittest.mock import MagicMock

import psycopg
import pytest
from apiflask import APIFlask
from celery import Celery
from flask.testing import FlaskClient
from kombu.exceptions import OperationalError as BrokerError
from kombu.transport import redis
from parity.broker import broker
from redis import Redis
from redis.connection import SSLConnection
from service import create_app, jobs, outbox
from service.extensions import db
from service.outbox import Job
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import OperationalError

TASK = SimpleNamespace(name="a.task")


@pytest.fixture
def context(app: APIFlask, client: FlaskClient) -> Iterator[None]:
    """An application context; the worker takes no jobs meanwhile."""
    with app.app_context():
        yield


def stored(*columns) -> list:
    db.session.rollback()
    return db.session.execute(select(*(columns or [Job.id]))).all()


def put(**values) -> str:
    job = Job(task=TASK.name, args=[1], **values)
    db.session.add(job)
    db.session.commit()
    return str(job.id)


def asked_for(view) -> int:
    """The status of a request whose view this is."""
    app = create_app()
    app.add_url_rule("/asked", view_func=view)
    return app.test_client().get("/asked").status_code


def test_a_job_stands_or_falls_with_the_change(context):
    jobs.enqueue(TASK, 1)
    db.session.rollback()
    assert stored() == []
    jobs.enqueue(TASK, 1)
    with db.session.begin_nested():
        db.session.execute(select(1))
    assert db.session.info[jobs.UNCOMMITTED]
    db.session.commit()
    assert jobs.UNCOMMITTED not in db.session.info
    assert stored(Job.task, Job.args) == [(TASK.name, [1])]


@pytest.mark.parametrize(("status", "count"), [(200, 1), (400, 0)])
def test_what_is_asked_for_after_the_commit_is_committed_with_the_answer(context, status, count):
    def view():
        db.session.execute(select(1))
        db.session.commit()
        jobs.enqueue(TASK, 1)
        return "", status

    assert asked_for(view) == status
    assert len(stored()) == count


def test_an_answer_says_that_its_job_was_not_stored(context, monkeypatch):
    def fail():
        raise OperationalError("COMMIT", {}, psycopg.OperationalError("gone"))

    def view():
        jobs.enqueue(TASK, 1)
        monkeypatch.setattr(db.session, "commit", fail)
        return ""

    assert asked_for(view) == 503
    monkeypatch.undo()
    assert stored() == []


class Broker:
    """What takes jobs, until it has enough."""

    def __init__(self, enough: int = 1000):
        self.taken, self.enough = [], enough

    def send_task(self, name, args, task_id, headers, retry):
        """Take a job."""
        if len(self.taken) >= self.enough:
            raise BrokerError("OOM command not allowed")
        self.taken.append(task_id)


def test_each_job_is_handed_over_once_when_it_is_due(context):
    due = [put(), put()]
    put(run_at=func.now() + func.make_interval(0, 0, 0, 0, 1))
    put(failed_at=func.now())
    broker = Broker()
    assert outbox.hand_over(broker) == 2
    assert sorted(broker.taken) == sorted(due)
    assert outbox.hand_over(broker) == 0


def test_of_what_nothing_is_heard_is_handed_over_again(context):
    silent = put(handed_at=func.now() - func.make_interval(0, 0, 0, 0, 0, 0, outbox.SILENT_SECONDS + 1))
    put(handed_at=func.now())
    ended = put(
        handed_at=func.now(),
        started_at=func.now() - func.make_interval(0, 0, 0, 0, 0, 0, outbox.LEASE_SECONDS + 1),
    )
    put(handed_at=func.now(), started_at=func.now())
    broker = Broker()
    outbox.hand_over(broker)
    assert sorted(broker.taken) == sorted([silent, ended])
    # Once, however long nobody begins it.
    assert outbox.hand_over(broker) == 0


def test_what_a_lost_connection_may_have_lost_is_handed_over_again(context):
    lost = put(handed_at=func.now())
    put(handed_at=func.now(), started_at=func.now())
    outbox.take_back()
    broker = Broker()
    outbox.hand_over(broker)
    assert broker.taken == [lost]


def test_the_broker_has_a_bounded_number(context, monkeypatch):
    monkeypatch.setattr(outbox, "MOST_HANDED", 3)
    for _ in range(5):
        put()
    broker = Broker()
    assert [outbox.hand_over(broker), outbox.hand_over(broker)] == [3, 0]
    db.session.execute(delete(Job).where(Job.id == uuid.UUID(broker.taken[0])))
    db.session.commit()
    assert outbox.hand_over(broker) == 1


def test_what_a_broker_refuses_stays_due(context):
    for _ in range(3):
        put()
    broker = Broker(enough=1)
    with pytest.raises(BrokerError):
        outbox.hand_over(broker)
    broker.enough = 1000
    assert outbox.hand_over(broker) == 2
    assert len({*broker.taken}) == 3


def test_a_job_that_is_done_is_forgotten(context):
    job = put(handed_at=func.now())
    with outbox.attempt(job) as is_now:
        assert is_now
        with outbox.attempt(job) as again:
            assert not again
    assert stored() == []
    with outbox.attempt(job) as is_now:
        assert not is_now


def test_a_job_that_fails_is_tried_again_later_and_then_kept_aside(context, app):
    job = put()
    delays = []
    for _ in range(outbox.MOST_ATTEMPTS):
        with pytest.raises(ZeroDivisionError), outbox.attempt(job) as is_now:
            assert is_now
            1 / 0  # noqa: B018
        ((delay, handed_at, failed_at),) = stored(
            func.extract("epoch", Job.run_at - func.now()), Job.handed_at, Job.failed_at
        )
        delays.append(round(delay))
        assert handed_at is None
        assert (failed_at is not None) is (len(delays) == outbox.MOST_ATTEMPTS)
    assert delays[:-1] == [outbox.FIRST_DELAY * 2**n for n in range(outbox.MOST_ATTEMPTS - 1)]
    assert outbox.hand_over(Broker()) == 0
    with outbox.attempt(job) as is_now:
        assert not is_now
    shown = app.test_cli_runner().invoke(args=["jobs", "list"])
    assert f"{job} " in shown.output
    assert "a.task(1,): ZeroDivisionError" in shown.output


def test_a_job_that_ends_its_process_is_kept_aside(context):
    ended = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, outbox.LEASE_SECONDS + 1)
    job = put(attempts=outbox.MOST_ATTEMPTS, started_at=ended)
    with outbox.attempt(job) as is_now:
        assert not is_now
    assert stored(Job.failed_at.is_not(None), Job.error) == [
        (True, "each of 8 attempts ended with its process")
    ]


def test_what_is_kept_aside_is_tried_again(context, app):
    first, second = (put(failed_at=func.now(), attempts=8) for _ in range(2))
    run = app.test_cli_runner().invoke
    assert run(args=["jobs", "retry"]).exit_code == 2
    assert run(args=["jobs", "retry", first, str(uuid.uuid4())]).exit_code == 1
    assert outbox.hand_over(Broker()) == 0
    assert run(args=["jobs", "retry", first]).output == "1 jobs are due again\n"
    broker = Broker()
    outbox.hand_over(broker)
    assert broker.taken == [first]
    assert run(args=["jobs", "retry", "--all"]).output == "1 jobs are due again\n"
    assert outbox.hand_over(broker) == 1
    assert broker.taken == [first, second]


def test_the_metrics_tell_how_many_wait_and_for_how_long(context, client, monkeypatch):
    put(run_at=func.now() - func.make_interval(0, 0, 0, 0, 1))
    put(run_at=func.now() + func.make_interval(0, 0, 0, 0, 1))
    put(failed_at=func.now())
    numbers = dict(
        line.split() for line in client.get("/metrics").text.splitlines() if line.startswith("jobs_")
    )
    assert (float(numbers["jobs_due"]), float(numbers["jobs_aside"])) == (1, 1)
    assert 3600 <= float(numbers["jobs_lag_seconds"]) < 3700
    db.session.execute(update(Job).values(failed_at=func.now()))
    db.session.commit()
    assert "jobs_lag_seconds 0.0" in client.get("/metrics").text


def test_kombu_gives_back_what_it_has_by_a_connection_that_is_gone(app):
    """A kombu that no longer does needs no class QoS in parity/broker.py."""

    def lost():
        channel = app.extensions["celery"].connection_for_read().channel()
        channel.qos._delivered["tag"] = SimpleNamespace(delivery_info={})
        channel.connection = channel._pool = None
        return channel.qos

    with pytest.raises(AttributeError):
        redis.QoS.restore_unacked_once(lost())
    lost().restore_unacked_once()


def test_what_hands_over_goes_on_after_any_failure(context, app, monkeypatch):
    """A thread that ended would leave a worker that looks well and does nothing."""
    job, tries = put(), []

    def fail_once(celery):
        tries.append(celery)
        if len(tries) == 1:
            raise AttributeError("'NoneType' object has no attribute 'hostname'")
        stop.set()
        return 0

    stop = Event()
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(jobs, "hand_over", fail_once)
    consumer = SimpleNamespace(
        app=app.extensions["celery"], task_consumer=SimpleNamespace(consuming_from=bool)
    )
    jobs.keep_handing_over(app, consumer, stop)
    assert len(tries) == 2
    assert stored() == [(uuid.UUID(job),)]


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "redis://cache:6380/3",
        "redis://cache?db=3",
        "redis://:s%23cr%2Ft%3A%40@cache/1",
        "redis://worker:a%20b@cache",
        "redis://[::1]:6379/0",
        "rediss://worker:secret@cache",
        "rediss://cache?ssl_cert_reqs=none",
        "rediss://cache?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false",
    ],
)
def test_a_broker_is_reached_as_the_cache_is(url, monkeypatch):
    """By one URL: the same server, database, user and certificates."""
    monkeypatch.setattr(redis.Channel, "_create_client", MagicMock())
    conf = {"broker_url": "", "broker_use_ssl": None} | broker(url)
    with Celery(broker=conf["broker_url"], set_as_current=False) as celery:
        celery.conf.broker_use_ssl = conf["broker_use_ssl"]
        given = celery.connection_for_read().channel()._connparams()
    cached = {"host": "localhost", "port": 6379, "db": 0} | Redis.from_url(
        url
    ).connection_pool.connection_kwargs
    for name in ("host", "port", "db", "username", "password", "ssl_ca_certs", "ssl_check_hostname"):
        assert (given.get(name) or None) == (cached.get(name) or None), name
    is_secure = url.startswith("rediss")
    assert issubclass(given["connection_class"], SSLConnection) is is_secure
    assert given.get("ssl_cert_reqs") == (cached.get("ssl_cert_reqs", "required") if is_secure else None)
