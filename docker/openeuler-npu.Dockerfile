# openEuler with CANN, for a device. The driver and the devices come from the host: docs/ci.md.
FROM quay.io/ascend/cann:9.0.1-910b-openeuler24.03-py3.11

# The distribution's own versions: they belong to the tag of the base image.
# hadolint ignore=DL3041
RUN dnf install --assumeyes gcc-c++ git make && dnf clean all

# A build needs CANN's files only, so it reads set_env.sh but no device.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV TORCH_DEVICE_BACKEND_AUTOLOAD=0
WORKDIR /src
COPY . .
# pyproject.toml bounds the versions of the rest.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir 'torch==2.12.0' 'numpy==2.4.6' 'pyyaml==6.0.4' \
    && pip install --no-cache-dir --no-deps 'torch_npu==2.12.0' \
    && DS_BUILD_OPS=1 pip install --no-cache-dir '.[test]'

RUN printf '#!/bin/bash\nsource /usr/local/Ascend/cann/set_env.sh\nexec "$@"\n' > /usr/local/bin/with-cann \
    && chmod 755 /usr/local/bin/with-cann
ENTRYPOINT ["/usr/local/bin/with-cann"]
CMD ["ascend-ops", "report", "--npu"]
