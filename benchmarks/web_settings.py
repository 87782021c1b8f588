"""The settings of the web server that is measured: those of the project, and one more path (``web_urls``)."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.web_urls"
