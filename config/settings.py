"""Settings, read top to bottom. Every environment variable is read through ``config.env``.

Development mode (``manage.py up`` without a DATABASE_URL) keeps its data and generated secrets in
SALLYPORT_HOME. With a DATABASE_URL nothing is generated: what is missing is refused by name.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from config import VERSION, addresses, env, home, keys

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Mode and addresses ---------------------------------------------------------------------------------------

DATABASE_URL = env.text("DATABASE_URL")
SALLYPORT_DEVELOPMENT = env.flag("SALLYPORT_DEVELOPMENT", default=not DATABASE_URL)
SALLYPORT_HOME = home.home()
DEBUG = False

PORT = env.integer("PORT", 8000, minimum=1, maximum=65535)
SALLYPORT_PUBLIC_URL = env.text("SALLYPORT_PUBLIC_URL", f"http://127.0.0.1:{PORT}" if SALLYPORT_DEVELOPMENT else "")
if urlsplit(SALLYPORT_PUBLIC_URL).scheme not in {"http", "https"} or not urlsplit(SALLYPORT_PUBLIC_URL).hostname:
    raise env.Refused("SALLYPORT_PUBLIC_URL", "the address people reach this at, such as https://soar.example.org")
SALLYPORT_PUBLIC_URL = SALLYPORT_PUBLIC_URL.rstrip("/")
_public_host = urlsplit(SALLYPORT_PUBLIC_URL).hostname or ""
ALLOWED_HOSTS = [
    *env.words("ALLOWED_HOSTS"),
    _public_host,
    *(["127.0.0.1", "localhost", "[::1]"] if SALLYPORT_DEVELOPMENT else []),
]

# --- Keys (SEC-17, SEC-34) ------------------------------------------------------------------------------------

_signing = env.secret("SECRET_KEY") or (home.kept_secret("secret_key") if SALLYPORT_DEVELOPMENT else "")
SECRET_KEY = keys.signing_key("SECRET_KEY", _signing)
_master = env.secret("SALLYPORT_MASTER_KEY") or (home.kept_secret("master_key") if SALLYPORT_DEVELOPMENT else "")
SALLYPORT_PRIMARY_KEY, SALLYPORT_MASTER_KEYS = keys.master_keys("SALLYPORT_MASTER_KEY", _master)

SOAR_WEBHOOK_SECRET = env.secret("SOAR_WEBHOOK_SECRET") or ""  # signs Olorin's actions for tenants without their own
if SOAR_WEBHOOK_SECRET and not SALLYPORT_DEVELOPMENT:
    keys.signing_key("SOAR_WEBHOOK_SECRET", SOAR_WEBHOOK_SECRET)

# --- Apps -----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "accounts.admin_app.SallyportAdminConfig",  # django.contrib.admin, with our login
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "accounts",
    "playbooks",
    "connectors",
    "manual",
    "incidents",  # before executions: its `sweep` command goes on from theirs
    "executions",
    "api",
    "config",
]
AUTH_USER_MODEL = "accounts.User"
# E-mail addresses are unique by a constraint on lower(email), which the check cannot see.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = [
    "api.middleware.RequestId",
    "api.middleware.AnswerHeaders",
    "api.middleware.CrossOrigin",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False  # a redirect would lose the body of a POST
SALLYPORT_ADMIN = env.flag("SALLYPORT_ADMIN", default=SALLYPORT_DEVELOPMENT)  # SEC-56
SALLYPORT_DOCS = env.flag("SALLYPORT_DOCS", default=SALLYPORT_DEVELOPMENT)

# --- Language, time, static files -----------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
USE_TZ = True
TIME_ZONE = "UTC"  # Django exports it as TZ to child processes
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT") or None  # where collectstatic puts files
WHITENOISE_USE_FINDERS = STATIC_ROOT is None  # without it they are served from where the packages keep them
WHITENOISE_AUTOREFRESH = False

# --- PostgreSQL -----------------------------------------------------------------------------------------------

if DATABASE_URL:
    _database = addresses.database(DATABASE_URL, env.secret("DATABASE_PASSWORD"))
    if not SALLYPORT_DEVELOPMENT and keys.is_sample(_database["PASSWORD"]):
        raise env.Refused("DATABASE_URL", "a password that is not one of the well-known sample values")
else:
    _database = addresses.database(f"postgresql://sallyport@/sallyport?host={home.socket_directory()}", None)
    _database["PORT"] = "5432"
DATABASES = {
    "default": _database
    | {
        "CONN_MAX_AGE": env.integer("DATABASE_CONNECTION_AGE", 600),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            # The statements of the per-step path are prepared at their second use (RULINGS 4).
            "prepare_threshold": 1,
            "server_side_binding": True,
            # Every statement has an index. A prepared plan of the first minute of a burst, from before PostgreSQL has
            # counted anew, would read whole tables that were empty when it was made.
            "options": "-c enable_seqscan=off",
            **_database["OPTIONS"],
        },
    }
}

# --- Redis: the broker's doorbell, channel layer, rate limits -------------------------------------------------

REDIS_URL = addresses.redis(
    env.text("REDIS_URL") or f"unix://{home.socket_directory()}/valkey.sock?db=0", env.secret("REDIS_PASSWORD")
)
SALLYPORT_REDIS_PREFIX = env.text("SALLYPORT_REDIS_PREFIX", "sallyport:")  # one Redis may serve several deployments
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # redis-py caps a pool at 100 connections by default, which refuses the 101st websocket.
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "max_connections": 2000}],
            "prefix": f"{SALLYPORT_REDIS_PREFIX}channels",
        },
    }
}

CELERY_BROKER_URL = addresses.broker(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,  # longer than any call; a lost doorbell is rung again from the database
    "global_keyprefix": SALLYPORT_REDIS_PREFIX,
    "priority_steps": [0, 5],  # what goes ahead, and the rest (executions.queue)
    "socket_timeout": 30,  # without it a half-open connection hangs publishers for ever
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
}
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "steps"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # a call that is out is let finish
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = "UTC"
CELERY_DB_REUSE_MAX = 500  # tasks a worker's connection serves before Celery's Django fixup closes it

# --- Execution ------------------------------------------------------------------------------------------------

SALLYPORT_WEB_THREADS = env.integer("SALLYPORT_WEB_THREADS", 8, minimum=1, maximum=256)
SALLYPORT_WORKER_THREADS = env.integer("SALLYPORT_WORKER_THREADS", 4, minimum=1, maximum=64)
SALLYPORT_LEASE: timedelta = env.seconds("SALLYPORT_LEASE", 30, minimum=1)
SALLYPORT_SLICE: timedelta = env.seconds("SALLYPORT_SLICE", 1, minimum=0)
SALLYPORT_STEP_TIMEOUT_CEILING: timedelta = env.seconds("SALLYPORT_STEP_TIMEOUT_CEILING", 7 * 86400, minimum=1)
SALLYPORT_EXECUTION_DEADLINE: timedelta = env.seconds("SALLYPORT_EXECUTION_DEADLINE", 7 * 86400, minimum=1)
SALLYPORT_QUEUE_LIMIT = env.integer("SALLYPORT_QUEUE_LIMIT", 50_000, minimum=1)  # queued step runs of one tenant
#: a worker that is told to end has so long; less than its supervisor waits before it kills
SALLYPORT_DRAIN_GRACE: timedelta = env.seconds("SALLYPORT_DRAIN_GRACE", 10, minimum=0.1)
SALLYPORT_STOP_GRACE: timedelta = env.seconds("SALLYPORT_STOP_GRACE", 30, minimum=0)
SALLYPORT_BREAKER_FAILURES = env.integer("SALLYPORT_BREAKER_FAILURES", 5, minimum=1)  # in a row, of one connection
SALLYPORT_BREAKER_PAUSE: timedelta = env.seconds("SALLYPORT_BREAKER_PAUSE", 60, minimum=0.1)
#: is told of the actions of toolkits, and keeps their audit and their breaker
SALLYPORT_TOOLKIT_WATCHER = "api.olorin.auditing.Auditor"
SALLYPORT_ALLOW_FAKE = env.flag("SALLYPORT_ALLOW_FAKE")
SALLYPORT_ALLOW_NETWORKS = [str(network) for network in env.cidr_list("ALLOW_NETWORKS")]
#: where dbt may run: "tenant/project" -> directory; what is not named here no connection reaches
SALLYPORT_DBT_PROJECTS = env.assignments("SALLYPORT_DBT_PROJECTS")
SALLYPORT_DBT_PROGRAM = env.text("SALLYPORT_DBT_PROGRAM", "dbt")
SALLYPORT_DEMO_ENDPOINT = env.text("SALLYPORT_DEMO_ENDPOINT") or None  # "127.0.0.1:port", set by `up`
SALLYPORT_SOARCA_OPEN_TENANT = env.text("SALLYPORT_SOARCA_OPEN_TENANT") or None
# Fins: programs of others that carry out steps. Spans are whole seconds, since fins are told them so.
FIN_REGISTRATION_TOKEN = env.secret("FIN_REGISTRATION_TOKEN")  # for SALLYPORT_SOARCA_OPEN_TENANT; others set theirs
FIN_POLL_INTERVAL: timedelta = env.whole_seconds("FIN_POLL_INTERVAL_SECONDS", 5, minimum=1)
FIN_LONG_POLL_TIMEOUT: timedelta = env.whole_seconds("FIN_LONG_POLL_TIMEOUT_SECONDS", 25, minimum=1)
FIN_JOB_LEASE: timedelta = env.whole_seconds("FIN_JOB_LEASE_SECONDS", 60, minimum=1)
FIN_STALE_AFTER_MULTIPLIER = env.integer("FIN_STALE_AFTER_MULTIPLIER", 2, minimum=1, maximum=1000)
MQTT_BROKER = env.text("MQTT_BROKER")
MQTT_PORT = env.integer("MQTT_PORT", 1883, minimum=1, maximum=65535)
MQTT_USERNAME = env.text("MQTT_USERNAME") or None
MQTT_PASSWORD = env.secret("MQTT_PASSWORD")
MQTT_TLS = env.flag("MQTT_TLS")
MQTT_TENANT = env.text("MQTT_TENANT") or SALLYPORT_SOARCA_OPEN_TENANT  # fins over MQTT bring no credentials
ENABLE_FINS = env.flag("ENABLE_FINS", default=bool(MQTT_BROKER))
#: what no connector may ever call: our own stores and our own API (SEC-01)
SALLYPORT_DENIED_ENDPOINTS = [
    found
    for found in (
        addresses.endpoint(DATABASE_URL, 5432),
        addresses.endpoint(REDIS_URL, 6379),
        addresses.endpoint(SALLYPORT_PUBLIC_URL, 443 if SALLYPORT_PUBLIC_URL.startswith("https:") else 80),
        ("127.0.0.1", PORT),
        *env.host_ports("SALLYPORT_DENIED_ENDPOINTS"),
    )
    if found
]

# --- People and browsers (SEC-33, SEC-42, SEC-55) -------------------------------------------------------------

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTHENTICATION_BACKENDS = ["accounts.backends.LoginBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "accounts.passwords.MaximumLength"},
    {"NAME": "accounts.passwords.WellKnown"},
]
PASSWORD_RESET_TIMEOUT = 15 * 60
_https = SALLYPORT_PUBLIC_URL.startswith("https:")
SESSION_COOKIE_NAME = "__Host-session" if _https else "session"
SESSION_COOKIE_AGE = 30 * 60
SESSION_SAVE_EVERY_REQUEST = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
CSRF_COOKIE_NAME = "__Host-csrf" if _https else "csrf"
CSRF_TRUSTED_ORIGINS = [SALLYPORT_PUBLIC_URL]
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # probes come without TLS from beside the process
SECURE_HSTS_SECONDS = 365 * 86_400 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("TRUST_PROXY") else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20

# --- API ------------------------------------------------------------------------------------------------------

# What views do is set in api/base.py; these are for a view that forgot to be a FamilyView: it is closed.
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # `?format=` belongs to the contracts
}
SOARCA_ALLOWED_ORIGINS = env.words("SOARCA_ALLOWED_ORIGINS", ("*",))
SALLYPORT_ALLOWED_ORIGINS = env.words("SALLYPORT_ALLOWED_ORIGINS")  # of the other families; no `*` beside cookies
#: how long a stream waits for a client that does not read
SALLYPORT_STREAM_PATIENCE: timedelta = env.seconds("SALLYPORT_STREAM_PATIENCE", 10, minimum=0.1)
#: how long a remediation action may take, and how many calls of one process may wait for theirs
APPLYLENS_ACTION_LIMIT: timedelta = env.seconds("APPLYLENS_ACTION_SECONDS", 900, minimum=1)
APPLYLENS_WAITING_CALLS = env.integer("APPLYLENS_WAITING_CALLS", max(1, SALLYPORT_WEB_THREADS // 2), minimum=1)
#: of silence, after which a stream of server-sent events says that it lives; clients may rely on 30 s
SALLYPORT_STREAM_HEARTBEAT: timedelta = env.seconds("SALLYPORT_STREAM_HEARTBEAT", 27, minimum=0.1)
SALLYPORT_TRUSTED_PROXIES = [str(network) for network in env.cidr_list("TRUSTED_PROXIES")]
SPECTACULAR_SETTINGS = {
    "TITLE": "Sallyport",
    "DESCRIPTION": "Playbooks that run: several API families over one store.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["api.schema.without_slash_twins"],
    "SCHEMA_PATH_PREFIX": "/",
    "ENUM_NAME_OVERRIDES": {
        "SwitchKind": "executions.gate_models.SwitchKind",
        "CapKind": "executions.gate_models.CapKind",
    },
}

# --- Logs -----------------------------------------------------------------------------------------------------

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "config.logs.OneLine"}},
    "filters": {"not_probes": {"()": "config.logs.NotProbes"}, "scrubbed": {"()": "core.logs.ScrubbingFilter"}},
    "handlers": {"stream": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["scrubbed"]}},
    "root": {"handlers": ["stream"], "level": env.choice("LOG_LEVEL", "INFO", LEVELS)},
    "loggers": {
        "celery.worker.strategy": {"level": "WARNING"},  # two lines a doorbell say nothing that the events do not
        "celery.app.trace": {"level": "WARNING"},
        "django.request": {"filters": ["not_probes"]},
        "httpx": {"level": "WARNING"},
        "asyncssh": {"level": "WARNING"},
    },
}

# libpq asks for this zone as it connects, so that Django need not ask again on every connection.
os.environ.setdefault("PGTZ", "UTC")
