#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The comparison of 50-kube-proxy.sh once more, with both proxies under upstream's API server.
APISERVER=upstream source tests/interchange/50-kube-proxy.sh
