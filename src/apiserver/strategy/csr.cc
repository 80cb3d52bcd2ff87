// SPDX-License-Identifier: Apache-2.0
// Strategy of certificatesigningrequests.
#include "apiserver/strategy/csr.h"

#include <set>

#include "apiserver/strategy/certificate_request.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/validators.h"
#include "schema/time.h"

namespace knarr::apiserver {

namespace {

using Request = api::certificates_v1::CertificateSigningRequest;
using Condition = api::certificates_v1::CertificateSigningRequestCondition;

void prepare_create(WriteContext& context, Request& request) {
  request.spec.username = context.user.name;
  request.spec.uid = context.user.uid;
  request.spec.groups.reset();
  for (const std::string& group : context.user.groups) request.spec.groups.push_back(group);
  request.spec.extra.reset();
  for (const auto& [key, values] : context.user.extra)
    for (const std::string& value : values) request.spec.extra[key].push_back(value);
}
void prepare_update(WriteContext&, Request& request, const Request& old) {
  request.spec = old.spec;
}

void stamp(WriteContext& context, Request& request, const Request& old) {
  schema::Time now = schema::to_time(context.clock.now());
  for (Condition& condition : request.status.conditions) {
    if (condition.last_update_time.is_zero()) condition.last_update_time = now;
    if (!condition.last_transition_time.is_zero()) continue;
    condition.last_transition_time = now;
    for (const Condition& before : old.status.conditions) {
      if (!(before.type == condition.type) || !(before.status == condition.status) ||
          before.last_transition_time.is_zero())
        continue;
      condition.last_transition_time = before.last_transition_time;
      break;
    }
  }
}

std::vector<const Condition*> of_type(const Request& request, std::string_view type) {
  std::vector<const Condition*> out;
  for (const Condition& condition : request.status.conditions)
    if (condition.type == type) out.push_back(&condition);
  return out;
}

// A signer may not touch the approver's conditions: they are put back as they were.
void prepare_status(WriteContext& context, Request& request, const Request& old) {
  request.spec = old.spec;
  for (std::string_view type : {"Approved", "Denied"}) {
    std::vector<const Condition*> before = of_type(old, type);
    std::vector<Condition*> now;
    for (Condition& condition : request.status.conditions)
      if (condition.type == type) now.push_back(&condition);
    if (before.size() != now.size()) continue;
    for (size_t i = 0; i < now.size(); ++i) *now[i] = *before[i];
  }
  stamp(context, request, old);
}

// ---- validation
// -----------------------------------------------------------------------------------------------------------------

// What an update tolerates because the old object breaks it already, and what the subresource lets
// in.
struct Options {
  bool set_approval = false, set_certificate = false;
  bool both = false, legacy_signer = false, duplicate_types = false, empty_type = false,
       any_certificate = false, unknown_usages = false, duplicate_usages = false;
};

const std::vector<std::string_view>& usages() {
  static const std::vector<std::string_view> known = {"any",
                                                      "cert sign",
                                                      "client auth",
                                                      "code signing",
                                                      "content commitment",
                                                      "crl sign",
                                                      "data encipherment",
                                                      "decipher only",
                                                      "digital signature",
                                                      "email protection",
                                                      "encipher only",
                                                      "ipsec end system",
                                                      "ipsec tunnel",
                                                      "ipsec user",
                                                      "key agreement",
                                                      "key encipherment",
                                                      "microsoft sgc",
                                                      "netscape sgc",
                                                      "ocsp signing",
                                                      "s/mime",
                                                      "server auth",
                                                      "signing",
                                                      "timestamping"};
  return known;
}

void validate_signer_name(std::string_view name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  std::vector<std::string_view> segments = split(name, '/');
  if (segments.size() != 2)
    return errors.invalid(
        path, quoted(name),
        "must be a fully qualified domain and path of the form 'example.com/signer-name'");
  if (segments[0].size() > 253) errors.too_long(path, quoted(segments[0]), 253);
  auto check = [&](std::string_view segment, Messages (*rule)(std::string_view)) {
    for (std::string_view label : split(segment, '.')) {
      Messages problems = rule(label);
      for (const std::string& problem : problems)
        errors.invalid(path, quoted(segment), "validating label " + quoted(label) + ": " + problem);
      if (!problems.empty()) break;
    }
  };
  check(segments[0], &check_dns1123_label);
  if (segments[0].find('.') == name.npos)
    errors.invalid(path, quoted(segments[0]),
                   "should be a domain with at least two segments separated by dots");
  check(segments[1], &check_dns1123_subdomain);
  if (name.size() > 253 + 253 + 63 + 1 + 1) errors.too_long(path, quoted(name), 571);
}

void validate_conditions(const Request& request, const Options& options, FieldErrors& errors) {
  Path path = Path("status") / "conditions";
  std::set<std::string_view> seen;
  for (size_t i = 0; i < request.status.conditions.size(); ++i) {
    const Condition& condition = request.status.conditions[i];
    std::string_view type = condition.type;
    Path at = path.index(i);
    if (type.empty() && !options.empty_type) errors.required(at / "type");
    bool true_only = type == "Approved" || type == "Denied" || type == "Failed";
    std::vector<std::string_view> statuses = {"True"};
    if (!true_only) statuses = {"False", "True", "Unknown"};
    validate_choice(condition.status, statuses, at / "status", errors);
    bool conflict = (type == "Approved" && seen.contains("Denied")) ||
                    (type == "Denied" && seen.contains("Approved"));
    if (conflict && !options.both)
      errors.invalid(at / "type", quoted(type),
                     "Approved and Denied conditions are mutually exclusive");
    if (!seen.insert(type).second && !options.duplicate_types)
      errors.duplicate(at / "type", quoted(type));
  }
}

// []byte{0x1, 0xa}
std::string go_bytes(std::string_view bytes) {
  std::string out = "[]byte{";
  char hex[8];
  for (char c : bytes) {
    std::snprintf(hex, sizeof hex, "0x%x", static_cast<unsigned char>(c));
    out += (out.back() == '{' ? "" : ", ") + std::string(hex);
  }
  return out + "}";
}

void validate_with(const Request& request, const Options& options, FieldErrors& errors) {
  Path spec("spec");
  CertificateRequestInfo info = read_certificate_request(request.spec.request);
  if (!info.problem.empty())
    errors.invalid(spec / "request", go_bytes(request.spec.request), info.problem);
  if (request.spec.usages.empty()) errors.required(spec / "usages");
  std::set<std::string_view> seen;
  for (size_t i = 0; i < request.spec.usages.size(); ++i) {
    const Str& usage = request.spec.usages[i];
    Path at = (spec / "usages").index(i);
    if (!options.unknown_usages) validate_supported(usage, usages(), at, errors);
    if (!seen.insert(usage.view()).second && !options.duplicate_usages)
      errors.duplicate(at, quoted(usage));
  }
  if (!options.legacy_signer && request.spec.signer_name == "kubernetes.io/legacy-unknown") {
    errors.invalid(spec / "signerName", quoted(request.spec.signer_name),
                   "the legacy signerName is not allowed via this API version");
  } else {
    validate_signer_name(request.spec.signer_name, spec / "signerName", errors);
  }
  if (request.spec.expiration_seconds && *request.spec.expiration_seconds < 600)
    errors.invalid(spec / "expirationSeconds", std::to_string(*request.spec.expiration_seconds),
                   "may not specify a duration less than 600 seconds (10 minutes)");
  validate_conditions(request, options, errors);
  if (!request.status.certificate.empty() && !options.any_certificate) {
    std::string problem = certificate_chain_problem(request.status.certificate);
    if (!problem.empty())
      errors.invalid(Path("status") / "certificate", "\"<certificate data>\"", problem);
  }
}

Options options_for(const Request& old) {
  Options options;
  options.legacy_signer = old.spec.signer_name == "kubernetes.io/legacy-unknown";
  options.both = !of_type(old, "Approved").empty() && !of_type(old, "Denied").empty();
  std::set<std::string_view> types, seen;
  for (const Condition& condition : old.status.conditions) {
    options.duplicate_types |= !types.insert(condition.type.view()).second;
    options.empty_type |= condition.type.empty();
  }
  for (const Str& usage : old.spec.usages) {
    options.duplicate_usages |= !seen.insert(usage.view()).second;
    FieldErrors unknown;
    validate_supported(usage, usages(), Path(), unknown);
    options.unknown_usages |= !unknown.empty();
  }
  options.any_certificate =
      !old.status.certificate.empty() && !certificate_chain_problem(old.status.certificate).empty();
  return options;
}

void validate_change(const Request& request, const Request& old, const Options& options,
                     FieldErrors& errors) {
  validate_with(request, options, errors);
  Path conditions = Path("status") / "conditions";
  for (std::string_view type : {"Approved", "Denied", "Failed"}) {
    std::vector<const Condition*> now = of_type(request, type), before = of_type(old, type);
    if (now.size() < before.size()) {
      errors.forbidden(conditions, "updates may not remove a condition of type " + quoted(type));
    } else if (!options.set_approval && type != "Failed") {
      if (now.size() > before.size()) {
        errors.forbidden(conditions, "updates may not add a condition of type " + quoted(type));
      } else if (!std::equal(now.begin(), now.end(), before.begin(),
                             [](const Condition* a, const Condition* b) { return *a == *b; })) {
        errors.forbidden(conditions,
                         "updates may not modify a condition of type " + quoted(type) + "\n");
      }
    }
  }
  if (request.status.certificate == old.status.certificate) return;
  Path certificate = Path("status") / "certificate";
  if (!options.set_certificate) {
    errors.forbidden(certificate, "updates may not set certificate content");
  } else if (!old.status.certificate.empty()) {
    errors.forbidden(certificate, "updates may not modify existing certificate content");
  }
}

void validate(const Request& request, FieldErrors& errors) {
  validate_with(request, Options(), errors);
}
void validate_update(const Request& request, const Request& old, FieldErrors& errors) {
  validate_change(request, old, options_for(old), errors);
}
void validate_status(const Request& request, const Request& old, FieldErrors& errors) {
  Options options = options_for(old);
  options.set_certificate = true;
  validate_change(request, old, options, errors);
}
Messages any_name(std::string_view, bool) { return {}; }

constexpr Strategy kStrategies[] = {
    {.group = "certificates.k8s.io",
     .plural = "certificatesigningrequests",
     .prepare_create = erase_create<&prepare_create>,
     .prepare_update = erase_update<&prepare_update>,
     .validate = erase_validate<&validate>,
     .validate_update = erase_validate_update<&validate_update>,
     .prepare_status = erase_update<&prepare_status>,
     .validate_status = erase_validate_update<&validate_status>,
     .name_problems = &any_name,
     .has_status = true},
};

}  // namespace

std::span<const Strategy> certificate_strategies() { return kStrategies; }

void prepare_csr_approval(WriteContext& context, Request& request, const Request& old) {
  stamp(context, request, old);
  auto conditions = std::move(request.status.conditions);
  request.spec = old.spec;
  request.status = old.status;
  request.status.conditions = std::move(conditions);
}
void validate_csr_approval(const Request& request, const Request& old, FieldErrors& errors) {
  Options options = options_for(old);
  options.set_approval = true;
  validate_change(request, old, options, errors);
}

}  // namespace knarr::apiserver
