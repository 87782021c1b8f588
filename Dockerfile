# syntax=docker/dockerfile:1
# One image for every process: web, worker, sweep, install. docker-compose.yml says which command each runs.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.txt .
# Only wheels, only the pinned ones.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.txt

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    SALLYPORT_NO_BOOTSTRAP=1 \
    STATIC_ROOT=/srv/static
RUN groupadd --gid 10001 sallyport \
 && useradd --uid 10001 --gid sallyport --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sallyport
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/sallyport
COPY . .
# Settings for this one command only: they are made in a directory that does not stay in the image.
RUN SALLYPORT_HOME=/tmp/build python manage.py collectstatic --no-input --verbosity 0 && rm -rf /tmp/build
USER 10001:10001
EXPOSE 8000
CMD ["uvicorn", "config.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--lifespan", "off", "--no-access-log", "--no-server-header", "--no-proxy-headers", "--timeout-graceful-shutdown", "30", "--ws-max-size", "65536"]
