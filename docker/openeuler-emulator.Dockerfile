# openEuler without CANN and without a device: this project, torch_npu and the emulated NPU.
FROM openeuler/openeuler:24.03-lts

# The distribution's own versions: they belong to the tag of the base image.
# hadolint ignore=DL3041
RUN dnf install --assumeyes gcc-c++ git make python3-devel python3-pip && dnf clean all

ENV TORCH_DEVICE_BACKEND_AUTOLOAD=0 \
    VIRTUAL_ENV=/opt/ascend_ops \
    PATH=/opt/ascend_ops/bin:$PATH
WORKDIR /src
COPY . .

# torch first and alone, so that no later requirement replaces it. DS_BUILD_EMULATOR ships the
# emulated NPU in the package. pyproject.toml bounds the versions of the rest.
# hadolint ignore=DL3013
RUN python3 -m venv "$VIRTUAL_ENV" \
    && pip install --no-cache-dir 'torch==2.13.0' 'numpy==2.4.6' 'pyyaml==6.0.4' \
    && pip install --no-cache-dir --no-deps 'torch_npu==2.13.0' \
    && DS_BUILD_OPS=1 DS_BUILD_EMULATOR=1 pip install --no-cache-dir '.[test]'

RUN useradd --create-home --uid 1000 ascend && chown -R 1000 /src
USER 1000
CMD ["ascend-ops", "report"]
