#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The same as 420-reboot.sh on the way back to the cloud, when it is switched off or loses its power.

TARGET=cloud
ONLY=${ONLY:-shutdown power_cut}

# shellcheck source=tests/host/scenarios/420-reboot.sh
source "$(dirname "$0")/420-reboot.sh"
