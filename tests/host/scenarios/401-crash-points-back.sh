#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The same as 400-crash-points.sh on the way back to the cloud.

TARGET=cloud

# shellcheck source=tests/host/scenarios/400-crash-points.sh
source "$(dirname "$0")/400-crash-points.sh"
