# The lakehouse with its own Java and Spark: `docker compose build`.
FROM python:3.11-slim-bookworm

RUN apt-get update \
 && apt-get install -y --no-install-recommends make openjdk-17-jre-headless procps \
 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 risk \
 && install -d -o risk -g risk /srv/lakehouse /data
USER risk
WORKDIR /srv/lakehouse

COPY --chown=risk:risk . .
# The packages' cache stays out of the image and serves its next build.
RUN --mount=type=cache,target=/home/risk/.cache,uid=1000,gid=1000 make setup && rm -rf ~/.ivy2.5.2

ENV PATH=/srv/lakehouse/.venv/bin:$PATH \
    LAKE_ROOT=/data
VOLUME /data
CMD ["risklake", "stream"]
