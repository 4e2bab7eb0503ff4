#include "asgi/cycle.h"

#include <string>

#include "asgi/application.h"
#include "server/base/bytes.h"

namespace fasterapi::asgi {

Cycle::Cycle(Module& module, Application& application, PyObject* self)
    : module_(module),
      application_(application),
      owner_(Ref::share(application.owner())),
      self_(self),
      entry_(module.ledger, base::Kind::kCycle) {}

PyObject* Cycle::loop() { return application_.asyncio_loop(); }

PyObject* Cycle::drained() { return new_awaitable(module_, self_, drain_); }

void Cycle::release_waiters() {
  receivers_.wake(module_);
  senders_.wake(module_);
}

bool Cycle::is_cancelled(PyObject* error) const {
  return PyErr_GivenExceptionMatches(error, module_.cancelled_error.get()) != 0;
}

bool Cycle::is_disconnect(PyObject* error) const {
  Ref link = Ref::share(error);
  for (int depth = 0; link && depth < 16; ++depth) {
    if (PyErr_GivenExceptionMatches(link.get(), module_.client_disconnected.get())) return true;
    Ref cause = Ref::steal(PyException_GetCause(link.get()));
    link = cause ? std::move(cause) : Ref::steal(PyException_GetContext(link.get()));
  }
  return false;
}

void Cycle::report(const char* message, PyObject* error) { application_.report(message, error); }

int Cycle::traverse(visitproc visit, void* arg) {
  Py_VISIT(owner_.get());
  int stop = receivers_.traverse(visit, arg);
  return stop != 0 ? stop : senders_.traverse(visit, arg);
}

void Cycle::clear() {
  receivers_.clear();
  senders_.clear();
}

bool answer_error(connection::Exchange& exchange, int status) {
  const std::string_view body = base::reason_phrase(status);
  std::string length;
  base::append_decimal(length, body.size());
  const base::Header headers[] = {
      {"content-type", "text/plain; charset=utf-8"}, {"content-length", length}, {"connection", "close"}};
  return exchange.start({status, headers}) && exchange.body(body, base::Last::kYes);
}

}  // namespace fasterapi::asgi
