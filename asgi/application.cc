#include "asgi/application.h"

#include "asgi/all_tasks.h"
#include "asgi/http_cycle.h"
#include "asgi/loop.h"
#include "asgi/websocket_cycle.h"

namespace fasterapi::asgi {

namespace {
// Steps taken inside one turn's read callbacks. Beyond it tasks wait for the loop's own
// queue, so that a flood of requests cannot starve accepts, timers and other tasks.
constexpr unsigned kMaxEagerPerTurn = 512;
// Objects kept of requests that are over: as many as begin in a few turns, about half a kilobyte each.
constexpr std::size_t kMaxSpares = 128;
}  // namespace

Application::Application(Module& module, PyObject* owner, net::Loop& loop, Scheduler* scheduler,
                         PyObject* app, PyObject* asyncio_loop, PyObject* logger, PyObject* context,
                         std::size_t zero_copy_threshold)
    : module_(module),
      owner_(owner),
      loop_(loop),
      scheduler_(scheduler),
      app_(Ref::share(app)),
      asyncio_loop_(Ref::share(asyncio_loop)),
      logger_(Ref::share(logger)),
      context_(Ref::share(context)),
      scopes_(module),
      zero_copy_threshold_(zero_copy_threshold) {}

bool Application::prepare(std::string root_path, PyObject* state) {
  if (!quicken_all_tasks(module_)) return false;
  task_keywords_ = task_keywords(module_, asyncio_loop_.get());
  return task_keywords_ && scopes_.prepare(std::move(root_path), state);
}

void Application::on_exchange(connection::Exchange& exchange, const base::RequestHead& head) {
  if (exchange.handshake() != nullptr) return begin_websocket(exchange, head);
  CycleObjects objects = take_spare();
  if (!objects) {
    PyErr_WriteUnraisable(owner_);
    return exchange.detach();
  }
  HttpCycle& http = objects.begin(module_, *this, exchange);
  if (!app_) return;  // let go of already: the cycle's end cuts the exchange
  Ref scope = scopes_.build(head, exchange.origin(), exchange.forwarded());
  if (!start(std::move(scope), objects.receive.get(), objects.send.get(), objects.cycle.get(), http)) {
    return http.on_start_failure();
  }
  // Most requests are answered by the first step, and most applications keep nothing of them.
  if (CycleObjects::unshared(objects.cycle, objects.receive, objects.send)) keep(std::move(objects));
}

void Application::on_run_over(Ref& owner_object, Ref& receive, Ref& send) {
  auto* type = reinterpret_cast<PyTypeObject*>(module_.http_cycle_type.get());
  if (!Py_IS_TYPE(owner_object.get(), type)) return;
  // The cycle's own reference to the server may be the last: then nobody begins another request.
  if (Py_REFCNT(owner_) == 1) return;
  if (!CycleObjects::unshared(owner_object, receive, send)) return;
  keep({std::move(owner_object), std::move(receive), std::move(send)});
}

void Application::keep(CycleObjects objects) {
  if (!app_ || spares_.size() >= kMaxSpares) return;
  objects.end();
  spares_.push_back(std::move(objects));
}

CycleObjects Application::take_spare() {
  if (spares_.empty()) return new_cycle_objects(module_);
  CycleObjects objects = std::move(spares_.back());
  spares_.pop_back();
  return objects;
}

void Application::begin_websocket(connection::Exchange& exchange, const base::RequestHead& head) {
  WebSocketObjects objects = new_websocket(module_, *this, exchange);
  if (objects.native == nullptr) {
    PyErr_WriteUnraisable(owner_);
    if (!objects.cycle) exchange.detach();
    return;
  }
  if (!app_) return;
  Ref scope = scopes_.build_websocket(head, exchange, objects.cycle.get());
  if (!start(std::move(scope), objects.receive.get(), objects.send.get(), objects.cycle.get(),
             *objects.native)) {
    objects.native->on_start_failure();
  }
}

bool Application::start(Ref scope, PyObject* receive, PyObject* send, PyObject* cycle, RunOwner& owner) {
  if (!scope) return false;
  Ref task_factory = task_factory_of_loop();
  return task_factory && start_run(module_, options(task_factory.get()), runs_, app_.get(), std::move(scope),
                                   Ref::share(receive), Ref::share(send), cycle, owner);
}

StartOptions Application::options(PyObject* task_factory) {
  return {asyncio_loop_.get(), scheduler_,           task_factory,
          context_.get(),      task_keywords_.get(), take_eager_step()};
}

bool Application::take_eager_step() {
  if (turn_ != loop_.turn()) {
    turn_ = loop_.turn();
    eager_this_turn_ = 0;
  }
  return eager_this_turn_++ < kMaxEagerPerTurn;
}

Ref Application::task_factory_of_loop() {
  if (scheduler_ != nullptr) return Ref::share(scheduler_->task_factory());
  return call_method(asyncio_loop_.get(), module_.names.get_task_factory);
}

void Application::report(const char* message, PyObject* error) {
  ErrorKept kept;
  if (!logger_) return;
  Ref method = Ref::steal(PyObject_GetAttr(logger_.get(), module_.names.error));
  Ref text = Ref::steal(PyUnicode_FromString(message));
  Ref keywords = Ref::steal(PyTuple_Pack(1, module_.names.exc_info));
  if (method && text && keywords) {
    PyObject* arguments[] = {text.get(), error};
    Ref logged = Ref::steal(
        PyObject_Vectorcall(method.get(), arguments, 1, error == nullptr ? nullptr : keywords.get()));
  }
  if (PyErr_Occurred()) PyErr_WriteUnraisable(logger_.get());
}

int Application::traverse(visitproc visit, void* arg) {
  Py_VISIT(app_.get());
  Py_VISIT(asyncio_loop_.get());
  Py_VISIT(logger_.get());
  Py_VISIT(context_.get());
  Py_VISIT(task_keywords_.get());
  if (int stop = runs_.traverse(visit, arg); stop != 0) return stop;
  return scopes_.traverse(visit, arg);
}

void Application::clear() {
  on_change_ = nullptr;
  let_go();
  logger_.reset();
  asyncio_loop_.reset();
  task_keywords_.reset();
}

void Application::let_go() {
  app_.reset();
  context_.reset();
  scopes_.clear();
  spares_.clear();
}

}  // namespace fasterapi::asgi
