// What the cycles of a request and of a WebSocket have in common: a Python object that the application may
// keep for ever, the tasks that wait for it, and how its run's end is told.
#pragma once

#include "asgi/awaitable.h"
#include "asgi/module.h"
#include "asgi/task.h"
#include "server/base/ledger.h"
#include "server/connection/exchange.h"

namespace fasterapi::asgi {

class Application;

class Cycle : public Awaited, public RunOwner {
 public:
  Waiters& waiters() override { return receivers_; }
  PyObject* loop() override;

  int traverse(visitproc visit, void* arg);
  void clear();

 protected:
  // `self`: the Python object that this one is a part of.
  Cycle(Module& module, Application& application, PyObject* self);
  ~Cycle() = default;

  // Whether a send() that waits may go on; as Awaited::poll().
  virtual bool poll_writable(Ref& value) = 0;
  // What `await send()` waits for when the connection is full.
  PyObject* drained();
  // The run is over: tasks that it has left behind wait for nothing any more.
  void release_waiters();

  // Our own OSError, or what a framework made of it, while it was handled or as its cause.
  bool is_disconnect(PyObject* error) const;
  bool is_cancelled(PyObject* error) const;
  void report(const char* message, PyObject* error);

  Module& module_;
  Application& application_;  // alive as long as owner_
  Ref owner_;                 // the Python Server object
  PyObject* self_;
  Waiters receivers_;
  Waiters senders_;

 private:
  class Drain final : public Awaited {
   public:
    explicit Drain(Cycle& cycle) : cycle_(cycle) {}
    bool poll(Ref& value) override { return cycle_.poll_writable(value); }
    Waiters& waiters() override { return cycle_.senders_; }
    PyObject* loop() override { return cycle_.loop(); }

   private:
    Cycle& cycle_;
  };

  Drain drain_{*this};
  base::Ledger::Entry entry_;
};

// Answers an exchange whose application gave no answer, with a short text. False: it could not be begun.
bool answer_error(connection::Exchange& exchange, int status);

}  // namespace fasterapi::asgi
