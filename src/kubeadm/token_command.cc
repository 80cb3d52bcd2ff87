// SPDX-License-Identifier: Apache-2.0
// `kubeadm token`: create, list, delete, generate.
#include "kubeadm/constants.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/table.h"
#include "kubeadm/tokens.h"
#include "kubeadm/wait.h"

namespace knarr::kubeadm {
namespace {

struct TokenFlags {
  std::string kubeconfig, config_file, certificate_key, description, output = "text";
  std::vector<std::string> usages = {"signing", "authentication"}, groups = {kBootstrapGroup};
  Duration ttl = std::chrono::hours(24);
  bool dry_run = false, print_join_command = false;
};

Result<std::unique_ptr<Api>> connect_as(Host& host, const TokenFlags& flags) {
  if (flags.dry_run) return make_dry_run_api(host, InitConfiguration());
  return connect(find_kubeconfig(host, flags.kubeconfig));
}

// A token alone needs nothing of this host.
InitConfiguration bare_configuration() {
  InitConfiguration config;
  config.node.cri_socket = kUnknownSocket;
  config.cluster.kubernetes_version = "1.28.0";
  return config;
}

Result<InitConfiguration> configuration(Host& host, const TokenFlags& flags, const std::string& token) {
  if (!flags.config_file.empty()) {
    auto text = host.read_file(flags.config_file);
    if (!text.ok()) return text.status().with_context("unable to read config from " + quote(flags.config_file) + " ");
    return load_init_configuration(host, *text, false);
  }
  InitConfiguration config = bare_configuration();
  BootstrapToken one;
  one.token = token;
  one.description = flags.description;
  one.ttl = flags.ttl;
  one.usages = flags.usages;
  one.groups = flags.groups;
  config.bootstrap_tokens = {one};
  set_defaults(config);
  set_defaults(config.cluster);
  TRY(set_dynamic_defaults(host, config));
  TRY(aggregate(validate(config)));
  return config;
}

Status create(Host& host, const TokenFlags& flags, const Invocation& invocation) {
  std::string given = invocation.args.empty() ? "" : invocation.args[0];
  TRY(check_mixed_flags(invocation));
  if (!given.empty() && !is_bootstrap_token(given)) return Status::error("the bootstrap token " + quote(given) + " was not of the form " + quote(kTokenPattern));
  TRY_ASSIGN(std::unique_ptr<Api> api, connect_as(host, flags));
  TRY_ASSIGN(InitConfiguration config, configuration(host, flags, given));
  TRY(store_tokens(host, *api, config.bootstrap_tokens, true));
  const std::string& token = config.bootstrap_tokens[0].token;
  if (!flags.print_join_command) {
    if (!flags.certificate_key.empty()) return Status::error("cannot use --certificate-key without --print-join-command");
    host.print(token + "\n");
    return {};
  }
  JoinCommandOptions options{find_kubeconfig(host, flags.kubeconfig), token, flags.certificate_key, !flags.certificate_key.empty()};
  auto command = join_command(options);
  if (!command.ok()) return command.status().with_context("failed to get join command");
  host.print(replace_all(replace_all(*command, "\\\n", ""), "\t", "") + "\n");
  return {};
}

json::Value output_object(const BootstrapToken& token) {
  json::Value object = json::Value::object();
  object["kind"] = "BootstrapToken";
  object["apiVersion"] = "output.kubeadm.k8s.io/v1alpha2";
  object["token"] = token.token;
  if (!token.description.empty()) object["description"] = token.description;
  if (token.expires) object["expires"] = format_rfc3339(*token.expires);
  for (const std::string& usage : token.usages) object["usages"].push_back(usage);
  for (const std::string& group : token.groups) object["groups"].push_back(group);
  return object;
}

std::vector<std::string> row(const BootstrapToken& token, WallTime now) {
  auto or_none = [](const std::string& text) { return text.empty() ? std::string("<none>") : text; };
  std::string ttl = token.expires ? short_human_duration(*token.expires - now) : "<forever>";
  return {token.token, pad_right(ttl, 9), token.expires ? format_rfc3339(*token.expires) : "<never>", pad_right(or_none(join(token.usages, ",")), 22),
          pad_right(or_none(token.description), 56), or_none(join(token.groups, ","))};
}

Status list(Host& host, const TokenFlags& flags) {
  TRY_ASSIGN(std::unique_ptr<Api> api, connect_as(host, flags));
  auto secrets = api->get("/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken");
  if (!secrets.ok()) return secrets.status().with_context("failed to list bootstrap tokens");
  bool first = true;
  for (const json::Value& secret : secrets->at({"items"}).items()) {
    auto token = token_of_secret(secret);
    if (!token.ok()) {
      host.print_error(std::string(token.status().message()));
      continue;
    }
    if (flags.output == "json") {
      host.print(json::to_pretty(output_object(*token), 4) + "\n");
    } else if (flags.output == "yaml") {
      host.print((first ? "" : "---\n") + to_yaml(output_object(*token)));
    } else {
      // Each token is a table of its own, as upstream prints them: columns do not line up between tokens of different widths.
      std::vector<std::vector<std::string>> rows;
      if (first) rows.push_back({"TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"});
      rows.push_back(row(*token, host.clock().now()));
      host.print(format_table(rows));
    }
    first = false;
  }
  return {};
}

Status remove(Host& host, const TokenFlags& flags, const std::vector<std::string>& args) {
  if (args.empty())
    return Status::error("missing argument; 'token delete' is missing token of form " + quote(kTokenPattern) + " or " + quote(kTokenIdPattern));
  TRY_ASSIGN(std::unique_ptr<Api> api, connect_as(host, flags));
  for (const std::string& given : args) {
    if (!is_bootstrap_token_id(given) && !is_bootstrap_token(given))
      return Status::error("given token didn't match pattern " + quote(kTokenPattern) + " or " + quote(kTokenIdPattern));
    std::string id = given.substr(0, 6);
    TRY(api->remove(token_secret_path(id)).with_context("failed to delete bootstrap token " + quote(id)));
    host.print("bootstrap token " + quote(id) + " deleted\n");
  }
  return {};
}

constexpr char kLongHelp[] = R"text(
This command manages bootstrap tokens. It is optional and needed only for advanced use cases.

In short, bootstrap tokens are used for establishing bidirectional trust between a client and a server.
A bootstrap token can be used when a client (for example a node that is about to join the cluster) needs
to trust the server it is talking to. Then a bootstrap token with the "signing" usage can be used.
bootstrap tokens can also function as a way to allow short-lived authentication to the API Server
(the token serves as a way for the API Server to trust the client), for example for doing the TLS Bootstrap.

What is a bootstrap token more exactly?
 - It is a Secret in the kube-system namespace of type "bootstrap.kubernetes.io/token".
 - A bootstrap token must be of the form "[a-z0-9]{6}.[a-z0-9]{16}". The former part is the public token ID,
   while the latter is the Token Secret and it must be kept private at all circumstances!
 - The name of the Secret must be named "bootstrap-token-(token-id)".

You can read more about bootstrap tokens here:
  https://kubernetes.io/docs/admin/bootstrap-tokens/
)text";

constexpr char kGroupsUsage[] =
    "Extra groups that this token will authenticate as when used for authentication. Must match \"\\\\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\\\\z\"";

void add_create(Command& group, Host& host, const std::shared_ptr<TokenFlags>& flags) {
  Command& command = group.add("create", "Create bootstrap tokens on the server");
  command.arguments = "[token]";
  command.any_arguments = true;
  command.long_help = R"(
This command will create a bootstrap token for you.
You can specify the usages for this token, the "time to live" and an optional human friendly description.

The [token] is the actual token to write.
This should be a securely generated random token of the form "[a-z0-9]{6}.[a-z0-9]{16}".
If no [token] is given, kubeadm will generate a random token instead.
)";
  command.flags.text(flags->certificate_key, "certificate-key",
                     "When used together with '--print-join-command', print the full 'kubeadm join' flag needed to join the cluster as a control-plane. To create a new "
                     "certificate key you must use 'kubeadm init phase upload-certs --upload-certs'.");
  command.flags.text(flags->config_file, "config", kConfigUsage);
  command.flags.text(flags->description, "description", "A human friendly description of how this token is used.");
  command.flags.list(flags->groups, "groups", kGroupsUsage);
  command.flags.on(flags->print_join_command, "print-join-command",
                   "Instead of printing only the token, print the full 'kubeadm join' flag needed to join the cluster using the token.");
  command.flags.duration(flags->ttl, "ttl", "The duration before the token is automatically deleted (e.g. 1s, 2m, 3h). If set to '0', the token will never expire");
  command.flags.list(flags->usages, "usages",
                     "Describes the ways in which this token can be used. You can pass --usages multiple times or provide a comma separated list of options. Valid options: "
                     "[signing,authentication]");
  command.run = [flags, &host](const Invocation& invocation) { return create(host, *flags, invocation); };
}

}  // namespace

void add_token(Command& root, Host& host) {
  auto flags = std::make_shared<TokenFlags>();
  Command& group = root.add("token", "Manage bootstrap tokens");
  group.long_help = kLongHelp;
  group.help_fails = true;
  group.inherited.on(flags->dry_run, "dry-run", "Whether to enable dry-run mode or not");
  group.inherited.text(flags->kubeconfig, "kubeconfig", kKubeconfigUsage);
  group.inherited.show_default("kubeconfig", quote(kAdminConf));
  add_create(group, host, flags);
  Command& remove_command = group.add("delete", "Delete bootstrap tokens on the server");
  remove_command.arguments = "[token-value] ...";
  remove_command.any_arguments = true;
  remove_command.long_help = R"(
This command will delete a list of bootstrap tokens for you.

The [token-value] is the full Token of the form "[a-z0-9]{6}.[a-z0-9]{16}" or the
Token ID of the form "[a-z0-9]{6}" to delete.
)";
  remove_command.run = [flags, &host](const Invocation& invocation) { return remove(host, *flags, invocation.args); };
  Command& generate = group.add("generate", "Generate and print a bootstrap token, but do not create it on the server");
  generate.long_help = R"(
This command will print out a randomly-generated bootstrap token that can be used with
the "init" and "join" commands.

You don't have to use this command in order to generate a token. You can do so
yourself as long as it is in the format "[a-z0-9]{6}.[a-z0-9]{16}". This
command is provided for convenience to generate tokens in the given format.

You can also use "kubeadm init" without specifying a token and it will
generate and print one for you.
)";
  generate.run = [&host](const Invocation&) -> Status {
    TRY_ASSIGN(std::string token, generate_token());
    host.print(token + "\n");
    return {};
  };
  Command& list_command = group.add("list", "List bootstrap tokens on the server");
  list_command.long_help = "\nThis command will list all bootstrap tokens for you.\n";
  list_command.flags.text(flags->output, "experimental-output", "Output format. One of: text|json|yaml.", "o");
  list_command.run = [flags, &host](const Invocation&) { return list(host, *flags); };
}

}  // namespace knarr::kubeadm
