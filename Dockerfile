# syntax=docker/dockerfile:1
# The command line on a processor:
#   docker build -t genomic-ulmfit .
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" genomic-ulmfit classify bacteria-taxa reads.fq.gz

FROM python:3.12-slim-bookworm AS build
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="genomic-ulmfit" \
      org.opencontainers.image.licenses="Apache-2.0"
# the CPU build of torch, which is a tenth of the default one; the wheel itself stays out of the image
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu /wheels/*.whl
RUN useradd --create-home --uid 1000 reader && install -d -m 1777 /var/cache/matplotlib
USER 1000
# for whoever `--user` names: a place to write to
ENV MPLCONFIGDIR=/var/cache/matplotlib
WORKDIR /data
ENTRYPOINT ["genomic-ulmfit"]
CMD ["--help"]
