// The ASGI application as the connections' Handler: each exchange becomes a scope, a cycle and a
// task. Owned by the Python Server object.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "asgi/http_cycle.h"
#include "asgi/messages.h"
#include "asgi/module.h"
#include "asgi/scope.h"
#include "asgi/task.h"
#include "server/connection/handler.h"
#include "server/net/loop.h"

namespace fasterapi::asgi {

class Scheduler;

class Application final : public connection::Handler, private RunKeeper {
 public:
  // `owner`: the Python object that this one is a part of.
  Application(Module& module, PyObject* owner, net::Loop& loop, Scheduler* scheduler, PyObject* app,
              PyObject* asyncio_loop, PyObject* logger, PyObject* context, std::size_t zero_copy_threshold);

  // Once, before the first exchange. False with an error set.
  bool prepare(std::string root_path, PyObject* state);
  void on_exchange(connection::Exchange& exchange, const base::RequestHead& head) override;
  std::size_t in_hand() const override { return runs_.size(); }

  // logger.error(message, exc_info=error), or without exc_info where `error` is null.
  void report(const char* message, PyObject* error);
  // The loop, where a task may be stepped inside one of its callbacks: so often in one turn. Null: not now.
  Scheduler* stepper() { return scheduler_ != nullptr && take_eager_step() ? scheduler_ : nullptr; }
  PyObject* asyncio_loop() const { return asyncio_loop_.get(); }
  Ref tasks() const { return runs_.tasks(); }
  bool idle() const { return runs_.empty(); }
  void run_ended() {
    if (on_change_) on_change_();
  }
  // Called whenever a run has ended.
  void set_on_change(std::function<void()> on_change) { on_change_ = std::move(on_change); }
  PyObject* owner() const { return owner_; }
  net::Loop& loop() { return loop_; }
  // Scratch for reading one message's headers; free again when send() returns.
  HeaderList& header_list() { return headers_; }
  // The same for one event of an event stream.
  std::string& event_text() { return event_text_; }
  std::size_t zero_copy_threshold() const { return zero_copy_threshold_; }

  void release_runs() { runs_.release(); }
  // Drops the application; runs that have begun go on to their end.
  void let_go();

  int traverse(visitproc visit, void* arg);
  void clear();

 private:
  void begin_websocket(connection::Exchange& exchange, const base::RequestHead& head);
  // False with an error set.
  bool start(Ref scope, PyObject* receive, PyObject* send, PyObject* cycle, RunOwner& owner);
  bool take_eager_step();
  StartOptions options(PyObject* task_factory);
  Ref task_factory_of_loop();
  void on_run_over(Ref& owner_object, Ref& receive, Ref& send) override;
  CycleObjects take_spare();
  void keep(CycleObjects objects);

  Module& module_;
  PyObject* owner_;
  net::Loop& loop_;
  Scheduler* scheduler_;
  Ref app_;
  Ref asyncio_loop_;
  Ref logger_;
  Ref context_;
  Ref task_keywords_;
  ScopeBuilder scopes_;
  Runs runs_{*this};
  std::vector<CycleObjects> spares_;  // of requests that are over
  std::uint64_t turn_ = 0;
  unsigned eager_this_turn_ = 0;
  HeaderList headers_;
  std::string event_text_;
  std::size_t zero_copy_threshold_;
  std::function<void()> on_change_;
};

}  // namespace fasterapi::asgi
