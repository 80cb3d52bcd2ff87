// SPDX-License-Identifier: Apache-2.0
#include "net/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <exception>

#include "base/log.h"
#include "net/event.h"
#include "net/server_internal.h"
#include "net/socket.h"
#include "net/tls_stream.h"

namespace knarr::net {

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct RegisteredControl;

// Shared by the server object, its listeners and connections. The mutex guards `controls`; nobody
// suspends under it.
struct ServerState {
  std::vector<Executor> executors;
  std::shared_ptr<const ServerOptions> options;
  std::shared_ptr<const Handler> handler;
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  absl::flat_hash_map<RegisteredControl*, std::weak_ptr<RegisteredControl>> controls;
  std::vector<Completion> waiting_for_none;
  size_t next_executor = 0;  // of executors; the first executor's

  // Calls `function` for every connection on that connection's executor.
  void for_each(void (*function)(RegisteredControl&));
};

struct RegisteredControl final : ConnectionControl {
  RegisteredControl(std::shared_ptr<ServerState> s, Executor e)
      : state(std::move(s)), executor(std::move(e)) {}
  ~RegisteredControl() override {
    std::lock_guard lock(state->mutex);
    state->controls.erase(this);
    if (!state->controls.empty()) return;
    for (const Completion& waiting : state->waiting_for_none) waiting.set();
    state->waiting_for_none.clear();
  }
  std::shared_ptr<ServerState> state;
  Executor executor;
};

void ServerState::for_each(void (*function)(RegisteredControl&)) {
  std::lock_guard lock(mutex);
  for (auto& [pointer, weak] : controls) {
    // Taken and dropped on the connection's own executor only: the last reference must not go under
    // this lock.
    post(pointer->executor, [weak = weak, function] {
      if (auto control = weak.lock()) function(*control);
    });
  }
}

Task<void> serve_socket(std::shared_ptr<ServerState> state,
                        std::shared_ptr<RegisteredControl> control, int fd) {
  ConnectionContext context{control->executor, state->options, state->handler, nullptr, control};
  std::shared_ptr<Peer> peer = peer_of(fd);
  context.peer = peer;
  std::unique_ptr<ByteStream> stream = make_socket_stream(control->executor, fd);
  if (state->options->tls == nullptr) {
    co_await serve_stream(std::move(context), std::move(stream), false);
    co_return;
  }
  ByteStream* under = stream.get();
  control->abort = [under] { under->close(); };
  Duration limit = std::chrono::seconds(10);
  Result<TlsResult> secured =
      co_await tls_accept(std::move(stream), state->options->tls, peer, limit);
  control->abort = nullptr;
  if (!secured.ok()) {
    log_debug("TLS handshake failed",
              {{"peer", peer->address}, {"err", secured.status().message()}});
    co_return;
  }
  bool http2 = secured->alpn == "h2";
  co_await serve_stream(std::move(context), std::move(secured->stream), http2);
}

Task<void> accept_loop(std::shared_ptr<ServerState> state, std::shared_ptr<Acceptor> acceptor) {
  while (!state->stopping) {
    Result<int> fd = co_await acceptor->accept();
    if (!fd.ok()) {
      if (!state->stopping) log_error("Stopped accepting", {{"err", fd.status().message()}});
      break;
    }
    if (state->stopping) {
      ::close(*fd);
      break;
    }
    Executor executor = state->executors[state->next_executor++ % state->executors.size()];
    auto control = std::make_shared<RegisteredControl>(state, executor);
    {
      std::lock_guard lock(state->mutex);
      state->controls.emplace(control.get(), control);
    }
    spawn(executor, serve_socket(state, std::move(control), *fd));
  }
  acceptor->close();
}

class ServerImpl final : public Server {
 public:
  ServerImpl(std::vector<Executor> executors, ServerOptions options, Handler handler)
      : state_(std::make_shared<ServerState>()) {
    KNARR_CHECK(!executors.empty());
    state_->executors = std::move(executors);
    state_->options = std::make_shared<const ServerOptions>(std::move(options));
    state_->handler = std::make_shared<const Handler>(std::move(handler));
  }

  ~ServerImpl() override {
    stop_accepting();
    state_->for_each([](RegisteredControl& control) {
      if (control.abort) control.abort();
    });
  }

  Result<uint16_t> listen(std::string address) override {
    TRY_ASSIGN(int fd, listen_socket(address));
    start(fd);
    return local_port(fd);
  }

  Status adopt(int fd) override {
    int listening = 0;
    socklen_t size = sizeof(listening);
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0)
      return Status::error("not a listening socket");
    start(fd);
    return Status();
  }

  std::vector<int> listening_fds() const override {
    std::vector<int> fds;
    for (const auto& acceptor : acceptors_) fds.push_back(acceptor->fd());
    return fds;
  }

  Task<void> shutdown(Duration grace) override {
    std::shared_ptr<ServerState> state = state_;
    stop_accepting();
    state->for_each([](RegisteredControl& control) {
      control.stopping = true;
      if (control.begin_shutdown) control.begin_shutdown();
    });
    Executor executor = co_await this_executor();
    Completion none(executor);
    // After the grace everything is closed, which brings the connections to their end.
    Alarm alarm(executor);
    auto last = std::make_shared<Alarm>(executor);
    alarm.arm(grace, [state, last, none] {
      state->for_each([](RegisteredControl& control) {
        if (control.abort) control.abort();
      });
      // A handler that does not notice must not keep the process from ending.
      last->arm(std::chrono::seconds(5), [none] {
        log_warning("Gave up waiting for handlers to end");
        none.set();
      });
    });
    {
      std::lock_guard lock(state->mutex);
      if (state->controls.empty())
        none.set();
      else
        state->waiting_for_none.push_back(none);
    }
    co_await none.wait();
    alarm.cancel();
    last->cancel();
  }

 private:
  void start(int fd) {
    auto acceptor = std::make_shared<Acceptor>(state_->executors.front(), fd);
    acceptors_.push_back(acceptor);
    spawn(state_->executors.front(), accept_loop(state_, acceptor));
  }

  void stop_accepting() {
    if (state_->stopping.exchange(true)) return;
    for (auto& acceptor : acceptors_)
      post(state_->executors.front(), [acceptor] { acceptor->close(); });
    acceptors_.clear();
  }

  std::shared_ptr<ServerState> state_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
};

}  // namespace

Task<void> serve_stream(ConnectionContext context, std::unique_ptr<ByteStream> stream,
                        bool known_http2) {
  std::string initial;
  if (!known_http2) {
    // "PRI" is no method anybody uses, so the first bytes decide.
    ByteStream* raw = stream.get();
    context.control->abort = [raw] { raw->close(); };
    context.control->begin_shutdown = context.control->abort;
    Alarm alarm(context.executor);
    alarm.arm(context.options->idle_timeout, [raw] { raw->close(); });
    char buffer[4096];
    while (initial.size() < kPreface.size() && kPreface.starts_with(initial)) {
      Result<size_t> count = co_await raw->read(buffer, sizeof(buffer));
      if (!count.ok() || *count == 0) {
        context.control->abort = context.control->begin_shutdown = nullptr;
        co_return;
      }
      initial.append(buffer, *count);
    }
    context.control->abort = context.control->begin_shutdown = nullptr;
    known_http2 = initial.starts_with(kPreface);
  }
  if (known_http2)
    co_await serve_http2(std::move(context), std::move(stream), std::move(initial));
  else
    co_await serve_http1(std::move(context), std::move(stream), std::move(initial));
}

Task<void> run_handler(std::shared_ptr<const Handler> handler, Request* request,
                       ResponseWriter* writer) {
  std::string failure;
  try {
    Task<void> task = (*handler)(*request, *writer);
    co_await std::move(task);
  } catch (const std::exception& e) {
    failure = e.what();
  }
  if (!failure.empty())
    log_error("Handler ended by an exception",
              {{"method", request->method}, {"path", request->path}, {"err", failure}});
  Status ignored;
  if (writer->started()) {
    Headers none;
    ignored = co_await writer->finish(std::move(none));
  } else {
    Headers headers;
    headers.add("Content-Type", "text/plain; charset=utf-8");
    Body body("Internal Server Error\n");
    ignored = co_await writer->respond(500, std::move(headers), std::move(body));
  }
}

std::unique_ptr<Server> make_server(std::vector<Executor> executors, ServerOptions options,
                                    Handler handler) {
  return std::make_unique<ServerImpl>(std::move(executors), std::move(options), std::move(handler));
}

}  // namespace knarr::net
