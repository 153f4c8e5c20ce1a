# Your handlers on the image: a folder made by `frontdesk new-handler NAME`, or any package with an entry point of the group
# frontdesk.handlers. From the folder that holds it:
#
#   docker build -f plugin.Dockerfile --build-arg FRONTDESK=registry.example/frontdesk:0.2.0 --build-arg PACKAGE=my-handler -t ... .
#
# The image has a Python of the system, which has pip, and one of Frontdesk, which has none and is the one that counts: a mere
# `pip install` goes into the other.
ARG FRONTDESK=frontdesk:local
FROM ${FRONTDESK}
ARG PACKAGE
USER root
COPY ${PACKAGE} /src/${PACKAGE}
RUN "$(readlink -f /opt/frontdesk/bin/python)" -m pip --python /opt/frontdesk/bin/python install --no-cache-dir "/src/${PACKAGE}" \
    && rm -r "/src/${PACKAGE}" && frontdesk check --help > /dev/null
USER 10001:10001
