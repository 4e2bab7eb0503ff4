#include "asgi/http_cycle.h"

#include <algorithm>
#include <memory>
#include <new>

#include "asgi/application.h"
#include "asgi/event_stream.h"
#include "asgi/native_type.h"

namespace fasterapi::asgi {

namespace {
HttpCycleObject& object_of(PyObject* object) { return *reinterpret_cast<HttpCycleObject*>(object); }
}  // namespace

HttpCycle::HttpCycle(Module& module, Application& application, connection::Exchange& exchange, PyObject* self)
    : Cycle(module, application, self), exchange_(&exchange) {}

HttpCycle::~HttpCycle() {
  end_event_stream();
  if (exchange_ != nullptr) exchange_->detach();
}

// --- From the connection -------------------------------------------------------------------

void HttpCycle::on_body(std::string_view bytes) {
  if (body_pending()) {
    rest_.append(bytes);
  } else {
    first_ = to_bytes(bytes);
    if (!first_) {
      PyErr_Clear();
      rest_.append(bytes);
    }
  }
  receivers_.wake(module_);
}

void HttpCycle::on_body_end() {
  body_ended_ = true;
  receivers_.wake(module_);
}

void HttpCycle::on_writable() { senders_.wake(module_); }

void HttpCycle::on_disconnect() {
  disconnected_ = true;
  receivers_.wake(module_);
  if (!event_stream_) return;
  // Who listens to events reads no more once it has ended its side: as if it was gone.
  told_ = true;
  senders_.wake(module_);
  Ref stream = event_stream_;
  event_stream_of(stream.get()).left();
}

void HttpCycle::on_drain() {
  if (Ref stream = event_stream_) event_stream_of(stream.get()).drain();
}

void HttpCycle::on_cut() {
  exchange_ = nullptr;
  disconnected_ = true;
  receivers_.wake(module_);
  senders_.wake(module_);
  if (Ref stream = event_stream_) event_stream_of(stream.get()).left();
}

// --- receive() -----------------------------------------------------------------------------

PyObject* HttpCycle::receive() { return new_awaitable(module_, self_, *this); }

bool HttpCycle::poll(Ref& value) {
  // A request that has come whole is delivered even when the client has gone meanwhile; of one
  // that never will be whole, the application learns the disconnect instead of an end.
  bool lost = disconnected_ && (end_delivered_ || !body_ended_);
  if (complete_ || lost) {
    told_ = true;
    value = disconnect_event();
    return true;
  }
  if (!end_delivered_ && (body_pending() || body_ended_)) {
    value = request_event();
    return true;
  }
  if (exchange_ != nullptr) exchange_->want_body();
  return false;
}

Ref HttpCycle::request_event() {
  Ref bytes = module_.empty_bytes;
  if (body_pending()) {
    if (rest_.empty()) {
      bytes = std::move(first_);
    } else {
      std::string_view head = first_ ? bytes_view(first_.get()) : std::string_view();
      bytes =
          Ref::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(head.size() + rest_.size())));
      if (!bytes) return Ref();
      char* place = PyBytes_AS_STRING(bytes.get());
      place = std::copy(head.begin(), head.end(), place);
      std::copy(rest_.begin(), rest_.end(), place);
      std::string().swap(rest_);
    }
    first_.reset();
    if (exchange_ != nullptr) exchange_->body_taken(bytes_view(bytes.get()).size());
  }
  end_delivered_ = body_ended_;
  const Names& names = module_.names;
  Ref event = Ref::steal(PyDict_New());
  if (!event || PyDict_SetItem(event.get(), names.type, names.http_request) != 0 ||
      PyDict_SetItem(event.get(), names.body, bytes.get()) != 0 ||
      PyDict_SetItem(event.get(), names.more_body, body_ended_ ? Py_False : Py_True) != 0) {
    return Ref();
  }
  return event;
}

Ref HttpCycle::disconnect_event() {
  Ref event = Ref::steal(PyDict_New());
  if (!event || PyDict_SetItem(event.get(), module_.names.type, module_.names.http_disconnect) != 0)
    return Ref();
  return event;
}

// --- send() --------------------------------------------------------------------------------

PyObject* HttpCycle::send(PyObject* message) {
  Message read;
  bool sent = read_message(module_, message, read);
  if (sent) {
    switch (read.kind) {
      case MessageType::kStart:
        sent = start(read);
        break;
      case MessageType::kBody:
        sent = body(read);
        break;
      case MessageType::kTrailers:
        sent = trailers(read);
        break;
      case MessageType::kUnknown:
        PyErr_Format(PyExc_ValueError,
                     "unexpected ASGI message %R: an http response is made of "
                     "'http.response.start', 'http.response.body' and 'http.response.trailers'",
                     read.type);
        sent = false;
        break;
    }
  }
  if (!sent) return new_failed_awaitable(module_, take_error());
  return written();
}

PyObject* HttpCycle::written() {
  if (exchange_ != nullptr && !exchange_->writable()) return drained();
  return Py_NewRef(module_.completed.get());
}

bool HttpCycle::start(const Message& message) {
  int status = 0;
  // Taken out while in use: reading a message may run the application's code, and that may send.
  HeaderList headers = std::move(application_.header_list());
  bool with_trailers = false;
  bool sent = read_start(module_, message, status, headers, with_trailers);
  if (sent && started_) {
    PyErr_SetString(PyExc_RuntimeError, "'http.response.start' was sent already");
    sent = false;
  }
  if (sent && gone()) {
    PyErr_SetString(module_.client_disconnected.get(), "the client has disconnected");
    sent = false;
  }
  if (sent) {
    base::Result<void> result = exchange_->start({status, headers.view(), with_trailers});
    if (!result) PyErr_SetString(PyExc_ValueError, result.failure().reason.c_str());
    sent = started_ = static_cast<bool>(result);
    trailers_due_ = with_trailers;
  }
  headers.clear();
  application_.header_list() = std::move(headers);
  return sent;
}

bool HttpCycle::body(const Message& message) {
  BodyMessage read;
  if (!read_body(module_, message, read)) return false;
  if (complete_) return true;  // ASGI: messages after the last body are ignored
  if (!check_begun()) return false;
  std::string_view bytes = bytes_view(read.body.get());
  base::Result<void> result =
      bytes.size() < application_.zero_copy_threshold()
          ? exchange_->body(bytes, read.last)
          : exchange_->body(base::Slice(bytes, read.body.release(),
                                        [](void* owner) { Py_DECREF(static_cast<PyObject*>(owner)); }),
                            read.last);
  if (!result) {
    PyErr_SetString(PyExc_RuntimeError, result.failure().reason.c_str());
    return false;
  }
  if (read.last == base::Last::kYes && !trailers_due_) finish();
  if (event_stream_) event_stream_of(event_stream_.get()).sent();
  return true;
}

bool HttpCycle::trailers(const Message& message) {
  base::Last last = base::Last::kYes;
  HeaderList fields;  // one of its own: few responses have trailers
  if (!read_trailers(module_, message, fields, last)) return false;
  if (complete_) return true;
  if (!check_begun()) return false;
  if (!trailers_due_) {
    PyErr_SetString(
        PyExc_RuntimeError,
        "'http.response.trailers' was not announced: 'http.response.start' had no true 'trailers'");
    return false;
  }
  base::Result<void> result = exchange_->trailers(fields.view(), last);
  if (!result) {
    PyErr_SetString(PyExc_ValueError, result.failure().reason.c_str());
    return false;
  }
  if (last == base::Last::kYes) finish();
  return true;
}

// Whether more of the answer can be sent. False with an error set.
bool HttpCycle::check_begun() {
  if (!started_) {
    PyErr_SetString(PyExc_RuntimeError, "the response was not begun by 'http.response.start'");
    return false;
  }
  if (gone()) {
    PyErr_SetString(module_.client_disconnected.get(), "the client has disconnected");
    return false;
  }
  return true;
}

void HttpCycle::finish() {
  complete_ = true;
  exchange_ = nullptr;
  end_event_stream();
  receivers_.wake(module_);
}

bool HttpCycle::poll_writable(Ref& value) {
  if (complete_ || (!gone() && exchange_->writable())) {
    value = Ref::share(Py_None);
    return true;
  }
  if (!gone()) return false;
  PyErr_SetString(module_.client_disconnected.get(), "the client has disconnected");
  return true;
}

// --- The extension fasterapi.sse ------------------------------------------------------------

PyObject* HttpCycle::open_event_stream() {
  if (exchange_ == nullptr) return Py_NewRef(Py_None);
  if (!event_stream_) {
    event_stream_ = new_event_stream(module_, *this, disconnected_, exchange_->draining());
    told_ = told_ || (event_stream_ && disconnected_);
  }
  return Ref(event_stream_).release();
}

bool HttpCycle::write(std::string& piece) {
  if (!check_begun()) return false;
  base::Result<void> result;
  if (piece.size() < application_.zero_copy_threshold()) {
    result = exchange_->body(std::string_view(piece), base::Last::kNo);
  } else {
    auto kept = std::make_unique<std::string>(std::move(piece));
    const std::string_view bytes = *kept;
    result = exchange_->body(
        base::Slice(bytes, kept.release(), [](void* owner) { delete static_cast<std::string*>(owner); }),
        base::Last::kNo);
  }
  if (!result) PyErr_SetString(PyExc_RuntimeError, result.failure().reason.c_str());
  return static_cast<bool>(result);
}

bool HttpCycle::interject(std::string_view piece) {
  if (gone() || !exchange_->open_ended() || exchange_->queued() > 0) return false;
  return static_cast<bool>(exchange_->body(piece, base::Last::kNo));
}

void HttpCycle::end_event_stream() {
  if (Ref stream = std::move(event_stream_)) event_stream_of(stream.get()).end();
}

// --- The end of the run --------------------------------------------------------------------

void HttpCycle::on_run_end(PyObject* error) {
  if (error != nullptr) {
    bool innocent = is_cancelled(error) || (gone() && is_disconnect(error));
    if (!innocent) report("Exception in ASGI application\n", error);
  } else if (!complete_ && !disconnected_) {
    report(started_ ? "ASGI callable returned without completing response."
                    : "ASGI callable returned without starting response.",
           nullptr);
  }
  answer_500();
  end_event_stream();
  disconnected_ = true;
  release_waiters();
  application_.run_ended();
}

void HttpCycle::on_start_failure() {
  Ref error = take_error();
  report("Exception in ASGI application\n", error.get());
  answer_500();
}

// What is left unfinished: an answer where there was none, else an end that shows.
void HttpCycle::answer_500() {
  connection::Exchange* exchange = std::exchange(exchange_, nullptr);
  if (exchange == nullptr) return;
  // An application that was told of the disconnect and gave up owes nobody an answer.
  if (!started_ && !told_) {
    started_ = true;
    if (answer_error(*exchange, 500)) {
      complete_ = true;
      return;
    }
  }
  exchange->detach();
}

int HttpCycle::traverse(visitproc visit, void* arg) {
  Py_VISIT(event_stream_.get());
  return Cycle::traverse(visit, arg);
}

void HttpCycle::clear() {
  end_event_stream();
  Cycle::clear();
}

// --- The Python object ---------------------------------------------------------------------

namespace {

PyObject* refuse_call() {
  PyErr_SetString(PyExc_RuntimeError, "this belongs to no request");
  return nullptr;
}

PyObject* call_receive(PyObject* self, PyObject*) {
  auto& cycle = object_of(self).cycle;
  return cycle ? cycle->receive() : refuse_call();
}

PyObject* call_send(PyObject* self, PyObject* message) {
  auto& cycle = object_of(self).cycle;
  return cycle ? cycle->send(message) : refuse_call();
}

PyMethodDef kReceive = {"receive", guarded<&call_receive>, METH_NOARGS,
                        "receive() -> awaitable of the next event, a dict (ASGI HTTP 2.5)."};
PyMethodDef kSend = {"send", guarded<&call_send>, METH_O,
                     "send(message) -> awaitable; waits while the client reads too slowly.\n\n"
                     "Raises OSError when the client has gone, TypeError, ValueError or RuntimeError for a "
                     "message that is wrong."};

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  auto& cycle = object_of(object).cycle;
  return cycle ? cycle->traverse(visit, arg) : 0;
}

int clear(PyObject* object) {
  if (auto& cycle = object_of(object).cycle) cycle->clear();
  return 0;
}

void end_object(PyObject* object) { std::destroy_at(&object_of(object).cycle); }

PyType_Slot kSlots[] = {{Py_tp_doc, const_cast<char*>("One HTTP request and its answer.")},
                        {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
                        {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                        {Py_tp_clear, reinterpret_cast<void*>(clear)},
                        {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.HttpCycle", sizeof(HttpCycleObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};

}  // namespace

HttpCycle& CycleObjects::begin(Module& module, Application& application, connection::Exchange& exchange) {
  HttpCycle& begun = object_of(cycle.get()).cycle.emplace(module, application, exchange, cycle.get());
  exchange.attach(begun);
  return begun;
}

bool CycleObjects::unshared(const Ref& cycle, const Ref& receive, const Ref& send) {
  auto is_free = [](const Ref& method) {
    auto* function = reinterpret_cast<PyCFunctionObject*>(method.get());
    return Py_REFCNT(method.get()) == 1 && function->m_weakreflist == nullptr;
  };
  constexpr int kOurs = 3;  // this one, and one in each method
  return Py_REFCNT(cycle.get()) == kOurs && is_free(receive) && is_free(send);
}

void CycleObjects::end() { object_of(cycle.get()).cycle.reset(); }

HttpCycle* cycle_of(PyObject* call) {
  if (!PyCFunction_CheckExact(call)) return nullptr;
  const PyCFunction function = PyCFunction_GET_FUNCTION(call);
  if (function != kSend.ml_meth && function != kReceive.ml_meth) return nullptr;
  auto& cycle = object_of(PyCFunction_GET_SELF(call)).cycle;
  return cycle ? &*cycle : nullptr;
}

CycleObjects new_cycle_objects(Module& module) {
  auto* object =
      PyObject_GC_New(HttpCycleObject, reinterpret_cast<PyTypeObject*>(module.http_cycle_type.get()));
  if (object == nullptr) return {};
  new (&object->cycle) std::optional<HttpCycle>();
  PyObject_GC_Track(object);
  Ref cycle = Ref::steal(reinterpret_cast<PyObject*>(object));
  Ref receive = Ref::steal(PyCFunction_New(&kReceive, cycle.get()));
  Ref send = receive ? Ref::steal(PyCFunction_New(&kSend, cycle.get())) : Ref();
  return {std::move(cycle), std::move(receive), std::move(send)};
}

int add_http_cycle_type(PyObject* module, Module& state) {
  state.client_disconnected = Ref::steal(
      PyErr_NewExceptionWithDoc("fasterapi.ClientDisconnected",
                                "send() was called after the client had gone.", PyExc_OSError, nullptr));
  if (!state.client_disconnected) return -1;
  if (PyModule_AddObjectRef(module, "ClientDisconnected", state.client_disconnected.get()) != 0) return -1;
  return add_type(module, kSpec, state.http_cycle_type);
}

}  // namespace fasterapi::asgi
