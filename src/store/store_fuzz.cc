// SPDX-License-Identifier: Apache-2.0
#include "store/model_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // States are copied for every event: quadratic, so long inputs find nothing that short ones do
  // not.
  if (size > 2000) return 0;
  knarr::store::ModelCheck(data, size).run();
  return 0;
}
