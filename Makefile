# make venv   everything but torch, into .venv
# make demo   the main job on real imagery, start to end
# make test   every test   ·   make lint   style, types, import contracts
PYTHON ?= python3
BIN := .venv/bin

.PHONY: venv train-venv demo test lint pack networks bench-real bench-networks bench-track bench-vote bench-catalogue bench-localize bench-oblique bench-faults bench-soak bench-sim bench-integrity hil clean

venv: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ground,demo,dev]'
	touch $@

train-venv: venv
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'

demo: venv
	$(BIN)/nadir demo --out demo

test: venv
	$(BIN)/python -m pytest

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The packaged pack, from the mosaic that ../shared brings (about half an hour on 2 cores).
DATA ?= ../shared/data
pack: venv
	$(BIN)/nadir index build --mission index_builder/missions/iss-405km.yaml \
	    --mosaic $(DATA)/mosaics/blue_marble_summer_30as.tif --out onboard/packs/iss-405km --seed 0 \
	    --calibration-frames 3000

# The networks that describe and turn keypoints: simulated frames to training data, that to a network, for each (long;
# resumable). The descriptor also learns from frames of one month on the map of another: what other months there are has
# 7.4 km a pixel, on which they are seen from eight times as high.
NETWORK_MOSAIC = $(DATA)/mosaics/blue_marble_summer_30as.tif
MONTHS = december=world.topo.bathy.200412.3x5400x2700 may=blue_marble_early_summer_5400x2700
SEASONS = 21:december-august 22:may-august 23:december-may 24:may-december 25:august-december 26:august-may
networks: train-venv
	$(BIN)/nadir export pairs --mosaic $(NETWORK_MOSAIC) --places 1200 --looks 4 --seed 11 --out runs/pairs
	mkdir -p runs/months && ln -sf $(abspath $(NETWORK_MOSAIC)) runs/months/august.tif
	for month in $(MONTHS); do \
	    $(BIN)/nadir index georeference $(DATA)/mosaics/$${month#*=}.jpg --bounds -180 -90 180 90 \
	        --out runs/months/$${month%=*}.tif || exit 1; done
	for both in $(SEASONS); do name=$${both#*:}; \
	    $(BIN)/nadir export pairs --mosaic runs/months/$${name%-*}.tif --map runs/months/$${name#*-}.tif --gsd-m 7440 \
	        --altitude-km 3240 --places 50 --looks 4 --seed $${both%:*} --out runs/seasons/$$name || exit 1; done
	$(BIN)/nadir export local --pairs runs/pairs runs/seasons/* --steps 5000 --out runs/local
	$(BIN)/nadir export views --mosaic $(NETWORK_MOSAIC) --places 1500 --looks 3 --seed 11 --out runs/views
	$(BIN)/nadir export orientation --views runs/views --steps 2000 --out runs/orientation

# Real photographs: solved and wrong apart, by label.
bench-real: venv
	$(BIN)/python -m tests.bench_real $(DATA)/iss

# What the networks that turn and describe keypoints are worth on photographs at known poses (about 2 minutes); others
# than the packaged ones: NETWORKS="--descriptor NET.onnx --orientation NET.onnx".
NETWORKS ?=
bench-networks: venv
	$(BIN)/python -m tests.bench_networks $(DATA)/iss --mosaic $(DATA)/mosaics/blue_marble_summer_30as.tif $(NETWORKS)

# The tracker on the same photographs, in order of time; and on their mirror images, which show no place on Earth.
bench-track: venv
	$(BIN)/python -m tests.bench_track $(DATA)/iss
	$(BIN)/python -m tests.bench_track $(DATA)/iss --mirror all
	$(BIN)/python -m tests.bench_track $(DATA)/iss --mirror odd

# Is the tracker's chance of a wrong orbit told honestly? (about 10 minutes)
bench-vote: venv
	$(BIN)/python -m tests.bench_vote $(DATA)/iss --mosaic $(DATA)/mosaics/blue_marble_summer_30as.tif

# Catalogue size, bytes a descriptor, neighbours, probes, features: what each is worth on the real photographs.
bench-catalogue: venv
	$(BIN)/python -m tests.bench_catalogue --mosaic $(DATA)/mosaics/blue_marble_summer_30as.tif \
	    --work runs/catalogue --frames $(DATA)/iss

# Time and memory of a frame, stage by stage, and the classical baseline beside it (its tiles are read once: minutes).
bench-localize: venv
	$(BIN)/python -m tests.bench_localize --frames $(DATA)/iss \
	    --mosaic $(DATA)/mosaics/blue_marble_summer_30as.tif --work runs/localize

# Cameras tilted up to 40 degrees off nadir, the tilt told and not: simulated frames of clear land (about 20 minutes).
bench-oblique: venv
	$(BIN)/python -m tests.bench_oblique $(DATA)/mosaics/blue_marble_summer_30as.tif

# Damage to the memory in use, and what became of the fix (six a second; stopped, it goes on).
FAULTS ?= 1500
bench-faults: venv
	$(BIN)/python -m tests.bench_faults --frames $(DATA)/iss --faults $(FAULTS) --out runs/faults

# Whether the memory of a flight process grows (10,000 answers: about an hour).
bench-soak: venv
	$(BIN)/python -m tests.bench_soak $(DATA)/iss

# The simulator's speed, cold and warm, stage by stage.
bench-sim: venv
	$(BIN)/python -m tests.bench_sim $(DATA)/mosaics/blue_marble_summer_30as.tif

# Wrong fixes: frames that show nothing known, most of them hard (about 2.5 hours); goes on where it stopped.
INTEGRITY_FRAMES ?= 30000
INTEGRITY_SEED ?= 2038
FLY_ISS = --mission index_builder/missions/iss-405km.yaml --mosaic $(DATA)/mosaics/blue_marble_summer_30as.tif
bench-integrity: venv
	$(BIN)/nadir sim run $(FLY_ISS) --scenario reject --frames 1050 --seed $(INTEGRITY_SEED) --out runs/integrity/reject
	$(BIN)/nadir sim run $(FLY_ISS) --scenario hard --frames $(INTEGRITY_FRAMES) --seed $(INTEGRITY_SEED) --out runs/integrity/hard
	$(BIN)/nadir sim integrity runs/integrity/reject runs/integrity/hard --chart runs/integrity/reliability.svg

# Hardware in the loop (docs/hil.md): make hil TARGET=tcp://DEVICE:5555; by default against the demo's pack and mosaic.
MISSION ?= sim/missions/widefield_700km.yaml
MOSAIC ?= demo/blue_marble.tif
hil: venv
	$(BIN)/nadir sim hil --target $(or $(TARGET),$(error name the device: make hil TARGET=tcp://DEVICE:5555)) --mission $(MISSION) --mosaic $(MOSAIC) --out runs/hil

clean:
	rm -rf .venv demo runs build *.egg-info
