// SPDX-License-Identifier: Apache-2.0
#include "cel/cost.h"

#include <absl/container/flat_hash_map.h>

#include <cmath>
#include <limits>

#include "cel/library.h"

namespace knarr::cel {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

uint64_t plus(uint64_t a, uint64_t b) { return a > kMax - b ? kMax : a + b; }
uint64_t times(uint64_t a, uint64_t b) { return a != 0 && b != 0 && a > kMax / b ? kMax : a * b; }
// What Go makes on amd64 of a number that is too large: the estimates show it.
uint64_t rounded_up(double n) {
  return n >= 18446744073709551616.0 ? uint64_t{1} << 63 : static_cast<uint64_t>(std::ceil(n));
}
uint64_t scaled(uint64_t n, double factor) {
  auto real = static_cast<double>(n);
  return real > 0 && real > static_cast<double>(kMax) / factor ? kMax : rounded_up(real * factor);
}

Range operator+(Range a, Range b) { return {plus(a.min, b.min), plus(a.max, b.max)}; }
Range operator*(Range a, Range b) { return {times(a.min, b.min), times(a.max, b.max)}; }
Range operator*(Range a, double factor) { return {scaled(a.min, factor), scaled(a.max, factor)}; }
Range widest(Range a, Range b) { return {std::min(a.min, b.min), std::max(a.max, b.max)}; }

constexpr Range kOne{1, 1}, kAnySize{0, kMax};
constexpr double kTextFactor = 0.1, kRegexFactor = 0.25;
constexpr Range kListCost{10, 10}, kMapCost{30, 30}, kMessageCost{40, 40};

using Path = std::vector<std::string>;

// Something that has a size.
struct Sized {
  Path path;
  const Type* type;
  std::optional<Range> known;
};

struct Applied {
  Range cost;
  std::optional<Range> result_size;
};

class Estimator {
 public:
  explicit Estimator(const SizeHints& hints) : hints_(hints) {}

  Range cost(const Expr& e) {
    switch (e.kind) {
      case Expr::Kind::kIdent:
        return ident(e);
      case Expr::Kind::kSelect:
        return select(e);
      case Expr::Kind::kCall:
        return call(e);
      case Expr::Kind::kList:
        return sum(e.args) + kListCost;
      case Expr::Kind::kMap:
        return sum(e.args) + kMapCost;
      case Expr::Kind::kMessage:
        return sum(e.args) + kMessageCost;
      case Expr::Kind::kFold:
        return fold(e);
      default:
        return {};
    }
  }

 private:
  Range sum(const std::vector<Expr*>& all) {
    Range total;
    for (const Expr* e : all) total = total + cost(*e);
    return total;
  }

  // --- Names and folds ---

  Range ident(const Expr& e) {
    for (size_t i = loops_.size(); i-- > 0;) {
      if (loops_[i].first != e.text) continue;
      const Expr& range = *loops_[i].second;
      if (range.type->kind != Type::Kind::kList && range.type->kind != Type::Kind::kMap)
        return kOne;
      Path path = path_of(range);
      path.emplace_back(range.type->kind == Type::Kind::kList ? "@items" : "@keys");
      paths_[&e] = std::move(path);
      return kOne;
    }
    paths_[&e] = {e.text};
    return kOne;
  }

  Range select(const Expr& e) {
    Range total = cost(*e.args[0]);
    if (e.test_only) return total + kOne;
    Type::Kind kind = e.args[0]->type->kind;
    if (kind == Type::Kind::kMap || kind == Type::Kind::kObject) total = total + kOne;
    Path path = path_of(*e.args[0]);
    path.push_back(e.text);
    paths_[&e] = std::move(path);
    return total;
  }

  Range fold(const Expr& e) {
    const Expr& range = *e.args[Expr::kRange];
    Range total = cost(range) + cost(*e.args[Expr::kInit]);
    loops_.emplace_back(e.text, &range);
    Range condition = cost(*e.args[Expr::kCondition]);
    Range step = cost(*e.args[Expr::kStep]);
    loops_.pop_back();
    total = total + cost(*e.args[Expr::kResult]);
    return total + size(sized(range)) * (step + condition);
  }

  // --- Sizes ---

  Path path_of(const Expr& e) const {
    auto found = paths_.find(&e);
    return found == paths_.end() ? Path() : found->second;
  }

  Sized sized(const Expr& e) const {
    Sized made{path_of(e), e.type, std::nullopt};
    if (!made.path.empty() && made.path[0] == "__result__") made.path.clear();
    if (auto found = sizes_.find(&e); found != sizes_.end()) {
      made.known = found->second;
    } else if (e.kind == Expr::Kind::kConst) {
      uint64_t size = cost_size(e.value);
      made.known = {size, size};
    } else if (e.kind == Expr::Kind::kList || e.kind == Expr::Kind::kMap) {
      uint64_t size = e.args.size() / (e.kind == Expr::Kind::kMap ? 2 : 1);
      made.known = {size, size};
    }
    return made;
  }

  std::optional<Range> hinted(const Sized& what) const {
    return what.known ? what.known : hints_.size_of(what.path, *what.type);
  }

  // Kubernetes' libraries know no size of scalars, cel-go's functions do.
  Range library_size(const Sized& what) const { return hinted(what).value_or(kAnySize); }
  Range size(const Sized& what) const {
    switch (what.type->kind) {
      case Type::Kind::kBool:
      case Type::Kind::kInt:
      case Type::Kind::kUint:
      case Type::Kind::kDouble:
      case Type::Kind::kDuration:
      case Type::Kind::kTimestamp:
        return hinted(what).value_or(kOne);
      default:
        return library_size(what);
    }
  }

  static std::optional<Sized> element_of(const Sized& list) {
    if (list.type->kind != Type::Kind::kList) return std::nullopt;
    Sized made{list.path, list.type->params[0], std::nullopt};
    if (!made.path.empty()) made.path.emplace_back("@items");
    return made;
  }

  // --- Calls ---

  Range call(const Expr& e) {
    std::vector<Sized> args;
    std::vector<Range> costs;
    for (size_t i = e.has_target ? 1 : 0; i < e.args.size(); ++i) {
      costs.push_back(cost(*e.args[i]));
      args.push_back(sized(*e.args[i]));
    }
    if (e.overloads.empty()) return {};
    Range total;
    std::optional<Sized> target;
    if (e.has_target) {
      total = cost(*e.args[0]);
      target = sized(*e.args[0]);
    }
    Range calls{kMax, 0};
    std::optional<Range> result_size;
    for (const Overload* overload : e.overloads) {
      Applied applied = apply(*overload, target, args, costs, e);
      calls = widest(calls, applied.cost);
      if (applied.result_size)
        result_size =
            result_size ? widest(*result_size, *applied.result_size) : applied.result_size;
      if (overload->cost == Cost::kIndexList || overload->cost == Cost::kIndexMap) {
        Path path = path_of(*e.args[0]);
        path.emplace_back(overload->cost == Cost::kIndexList ? "@items" : "@values");
        paths_[&e] = std::move(path);
      }
    }
    if (result_size) sizes_[&e] = *result_size;
    return total + calls;
  }

  Applied apply(const Overload& overload, const std::optional<Sized>& target,
                const std::vector<Sized>& args, const std::vector<Range>& costs,
                const Expr& e) const {
    Range arguments;
    for (Range cost : costs) arguments = arguments + cost;
    if (overload.cost == Cost::kLogical)
      return {{costs[0].min, (costs[0] + costs[1]).max}, std::nullopt};
    if (overload.cost == Cost::kConditional)
      return {costs[0] + widest(costs[1], costs[2]), widest(size(args[1]), size(args[2]))};
    Applied made = overload.cost >= Cost::kNominal ? apply_library(overload.cost, target, args, e)
                                                   : apply_standard(overload.cost, target, args);
    made.cost = made.cost + arguments;
    return made;
  }

  Applied apply_standard(Cost cost, const std::optional<Sized>& target,
                         const std::vector<Sized>& args) const {
    switch (cost) {
      case Cost::kScanFirst:
        return {size(args[0]) * kTextFactor};
      case Cost::kStringToBytes: {
        Range text = size(args[0]);
        return {text * kTextFactor, Range{text.min, text.max * 4}};  // wraps around, as upstream's
      }
      case Cost::kBytesToString: {
        Range bytes = size(args[0]);
        return {bytes * kTextFactor, Range{bytes.min / 4, bytes.max}};
      }
      case Cost::kInList:
        return {size(args[1]) * 1.0};
      case Cost::kMatches:
        return {((size(*target) + kOne) * kTextFactor) * (size(args[0]) * kRegexFactor)};
      case Cost::kContains:
        return {(size(*target) * kTextFactor) * (size(args[0]) * kTextFactor)};
      case Cost::kConcat:
      case Cost::kAddList: {
        Range both = size(args[0]) + size(args[1]);
        return {cost == Cost::kAddList ? kOne : both * kTextFactor, both};
      }
      case Cost::kCompare:
      case Cost::kEqual: {
        uint64_t most = std::min(size(args[0]).max, size(args[1]).max);
        return {Range{most > 0 ? uint64_t{1} : 0, most} * kTextFactor};
      }
      default:
        return {kOne};
    }
  }

  Applied apply_library(Cost cost, const std::optional<Sized>& target,
                        const std::vector<Sized>& args, const Expr& e) const {
    switch (cost) {
      case Cost::kCheck:
        return {{350000, 350000}};
      case Cost::kTraverse: {
        std::optional<Sized> element = element_of(*target);
        if (!element) return {library_size(*target) * kTextFactor};
        Range each = kOne;
        if (element->type->kind == Type::Kind::kString || element->type->kind == Type::Kind::kBytes)
          each = each + library_size(*element) * kTextFactor;
        return {library_size(*target) * each};
      }
      case Cost::kScan: {
        Range text = library_size(target ? *target : args[0]);
        return {text * kTextFactor, target ? std::optional<Range>(text) : std::nullopt};
      }
      case Cost::kReplace: {
        Range text = library_size(*target);
        return {text * (2 * kTextFactor),
                replaced_size(text, library_size(args[0]), library_size(args[1]))};
      }
      case Cost::kSplit: {
        Range text = library_size(*target);
        uint64_t most = text.max;
        if (args.size() > 1 && e.args[2]->kind == Expr::Kind::kConst)
          most = e.args[2]->value.as_uint();
        return {text * (2 * kTextFactor), Range{0, most}};
      }
      case Cost::kJoin:
        return joined(*target, args);
      case Cost::kFind: {
        Range text = library_size(*target);
        return {((text + kOne) * kTextFactor) * (library_size(args[0]) * kRegexFactor),
                Range{0, text.max}};
      }
      default:
        return {kOne};
    }
  }

  Applied joined(const Sized& list, const std::vector<Sized>& args) const {
    Range count = library_size(list), size;
    if (std::optional<Sized> element = element_of(list)) size = count * library_size(*element);
    if (!args.empty())
      size = size + library_size(args[0]) *
                        Range{count.min > 0 ? count.min - 1 : 0, count.max > 0 ? count.max - 1 : 0};
    return {size * kTextFactor, size};
  }

  // How long a text may be after replacing: what is replaced as short or long as it can be, as
  // often as it can be.
  static Range replaced_size(Range text, Range from, Range to) {
    auto often = [](uint64_t size, uint64_t piece) {
      return rounded_up(static_cast<double>(size) / static_cast<double>(piece));
    };
    Range count, kept;
    if (from.min == 0) {
      count.max = text.max < kMax ? text.max + 1 : text.max;
      kept.max = text.max;
    } else if (to.max <= from.min) {
      kept.max = text.max;
    } else {
      count.max = often(text.max, from.min);
    }
    if (from.max == 0) {
      count.min = text.min < kMax ? text.min + 1 : text.min;
      kept.min = text.min;
    } else if (from.max <= to.min) {
      kept.min = text.min;
    } else {
      count.min = often(text.min, from.max);
    }
    return count * to + kept;
  }

  const SizeHints& hints_;
  absl::flat_hash_map<const Expr*, Path> paths_;
  absl::flat_hash_map<const Expr*, Range> sizes_;
  std::vector<std::pair<std::string, const Expr*>> loops_;
};

}  // namespace

std::optional<Range> DeclaredSizes::size_of(std::span<const std::string> path, const Type&) const {
  if (path.empty()) return std::nullopt;
  const DeclType* at = &root_;
  for (const std::string& name : path.subspan(1)) {
    if (name == "@items" || name == "@values") {
      at = at->element;
    } else if (name == "@keys") {
      at = at->key;
    } else {
      auto field = at->fields.find(name);
      at = field == at->fields.end() ? nullptr : field->second;
    }
    if (at == nullptr) return std::nullopt;
  }
  return Range{0, static_cast<uint64_t>(at->max_elements)};
}

Range estimate_cost(const Expr& root, const SizeHints& hints) {
  return Estimator(hints).cost(root);
}

}  // namespace knarr::cel
