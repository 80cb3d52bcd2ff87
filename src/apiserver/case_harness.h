// SPDX-License-Identifier: Apache-2.0
// Runs API cases: lists of requests with the answers they expect, kept as YAML in testdata/cases. For tests only.
//
// steps:
// - do: POST /api/v1/namespaces              # method and target
//   body: {...}                              # sent as JSON, or text as it is
//   type: application/merge-patch+json       # Content-Type, JSON unless given
//   accept: application/json;as=Table;...
//   code: 201
//   expect: {...}                            # what the answer holds at least; arrays must have the same length
//   absent: [metadata.deletionTimestamp]     # paths that the answer must not have
//   warnings: [...]                          # texts of the Warning headers
//   save: {rv: metadata.resourceVersion}     # ${rv} in later steps
//
// An expected string "~text" matches any string that contains the text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/client.h"
#include "schema/json.h"

namespace knarr::apiserver::testing {

struct CaseFile {
  std::string name;
  json::Value document;
};
// Every file of the folder; the test fails loudly when there is none.
std::vector<CaseFile> load_cases(const std::string& folder);

// Runs one file against a server; empty when all is as expected, else what differs, step by step.
Task<std::string> run_case(const CaseFile& file, client::Transport& transport);

// "" when `actual` holds all of `expected`.
std::string difference(const json::Value& expected, const json::Value& actual, const std::string& path);

}  // namespace knarr::apiserver::testing
