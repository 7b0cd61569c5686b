# pianogen on one machine with a GPU, or under Apptainer on a cluster: docs/cluster.md has the commands.
#
# torch's wheel brings its CUDA 13.0 along, so the smallest of NVIDIA's images is enough: it names the drivers that serve,
# and holds the libraries by which the older drivers of data centres do.
FROM nvidia/cuda:13.0.3-base-ubuntu24.04

# the install compiles nothing; Triton's kernels and pianogen's operations for CPUs are compiled when they are first used
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Ubuntu lets pip install nothing beside its own Python packages
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /pianogen

# some 6 GB in a layer that a change of the sources does not touch; pianogen itself is still empty here
COPY pyproject.toml constraints.txt ./
RUN pip install --no-cache-dir -c constraints.txt --editable '.[cloud]'

# editable, so that configs/ and slurm/ lie beside the packages as in a checkout
COPY . .
RUN pip install --no-cache-dir --no-deps --editable .

# uid 1000, the first user of most machines; a user named with --user may have no home in here
ENV HOME=/tmp
USER ubuntu

# no shell in between, which would keep the signal to stop from the training process
ENTRYPOINT ["pianogen"]
CMD ["--help"]
