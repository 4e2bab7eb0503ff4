#include "asgi/event_stream.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <new>
#include <utility>

#include "asgi/application.h"
#include "asgi/awaitable.h"
#include "asgi/http_cycle.h"
#include "asgi/native_type.h"

namespace fasterapi::asgi {

namespace {
// What most servers send: proxies and clients see that the connection lives.
constexpr std::string_view kPing = ": ping\n";
// Room kept from one event to the next.
constexpr std::size_t kMostKept = 64 * 1024;
}  // namespace

EventStream::EventStream(Module& module, HttpCycle& cycle, bool left, bool draining)
    : module_(module), cycle_(&cycle), loop_(Ref::share(cycle.loop())), left_(left), draining_(draining) {}

PyObject* EventStream::refuse() {
  if (left_) {
    PyErr_SetString(module_.client_disconnected.get(), "the client has disconnected");
  } else {
    PyErr_SetString(PyExc_RuntimeError, "the response has ended");
  }
  return outcome(false);
}

PyObject* EventStream::outcome(bool sent) {
  if (!sent) return new_failed_awaitable(module_, take_error());
  return cycle_ == nullptr ? Py_NewRef(module_.completed.get()) : cycle_->written();
}

// `append(text)` -> Result<void>. False with an error set.
template <class Append>
bool EventStream::write(Append append) {
  // Taken out while in use, as a header list is.
  std::string& kept = cycle_->application().event_text();
  std::string block = std::move(kept);
  block.clear();
  const base::Result<void> result = append(block);
  const std::size_t size = block.size();
  if (!result) PyErr_SetString(PyExc_ValueError, result.failure().reason.c_str());
  const bool done = result && cycle_->write(block);
  if (block.capacity() <= kMostKept) kept = std::move(block);
  if (!done) return false;
  bytes_sent_ += size;
  sent();
  return true;
}

PyObject* EventStream::send(const sse::Event& event) {
  if (cycle_ == nullptr) return refuse();
  const bool sent = write([&event](std::string& out) { return sse::append_event(event, out); });
  if (sent) ++events_sent_;
  return outcome(sent);
}

PyObject* EventStream::comment(std::string_view text) {
  if (cycle_ == nullptr) return refuse();
  return outcome(write([text](std::string& out) {
    sse::append_comment(text, out);
    return base::Result<void>();
  }));
}

// --- Idleness ------------------------------------------------------------------------------

void EventStream::keep_alive(std::chrono::milliseconds interval) {
  interval_ = interval;
  alarm_.reset();
  if (interval.count() == 0 || cycle_ == nullptr || left_) return;
  alarm_.emplace(
      cycle_->application().loop().wheel(), [](void* self) { static_cast<EventStream*>(self)->ping(); },
      this);
  alarm_->arm(interval);
}

void EventStream::sent() {
  if (alarm_) alarm_->arm(interval_);
}

void EventStream::ping() {
  alarm_->arm(interval_);
  if (cycle_->interject(kPing)) bytes_sent_ += kPing.size();
}

// --- The end -------------------------------------------------------------------------------

bool EventStream::on_disconnect(PyObject* callback) {
  return listen(departure_, callback) && (!left_ || tell(departure_));
}

bool EventStream::on_shutdown(PyObject* callback) {
  return listen(shutdown_, callback) && (!draining_ || tell(shutdown_));
}

// False with an error set.
bool EventStream::listen(Listener& listener, PyObject* callback) {
  Listener now;
  if (callback != nullptr) {
    now = {Ref::share(callback), Ref::steal(PyContext_CopyCurrent())};
    if (!now.context) return false;
  }
  std::swap(listener, now);
  return true;
}

// Schedules the callback, if there is one. False with an error set.
bool EventStream::tell(Listener& listener) {
  const Listener told = std::move(listener);
  if (!told.callback) return true;
  Ref names = Ref::steal(PyTuple_Pack(1, module_.names.context));
  PyObject* arguments[] = {loop_.get(), told.callback.get(), told.context.get()};
  return names && Ref::steal(PyObject_VectorcallMethod(module_.names.call_soon, arguments, 2, names.get()));
}

// The same from below Python, which has nobody to tell an error.
void EventStream::tell_later(Listener& listener) {
  ErrorKept kept;
  if (tell(listener)) return;
  if (PyErr_ExceptionMatches(PyExc_RuntimeError)) {
    PyErr_Clear();  // its loop has closed: nobody listens any more
  } else {
    PyErr_WriteUnraisable(loop_.get());
  }
}

void EventStream::left() {
  if (std::exchange(left_, true)) return;
  alarm_.reset();
  tell_later(departure_);
}

void EventStream::drain() {
  if (!std::exchange(draining_, true)) tell_later(shutdown_);
}

void EventStream::end() {
  cycle_ = nullptr;
  alarm_.reset();
  clear();
}

PyObject* EventStream::statistics() {
  const std::size_t queued = cycle_ == nullptr ? 0 : cycle_->queued();
  return Py_BuildValue("{s:K,s:K,s:n}", "events_sent", static_cast<unsigned long long>(events_sent_),
                       "bytes_sent", static_cast<unsigned long long>(bytes_sent_), "queued",
                       static_cast<Py_ssize_t>(queued));
}

int EventStream::traverse(visitproc visit, void* arg) {
  Py_VISIT(loop_.get());
  for (const Listener* listener : {&departure_, &shutdown_}) {
    Py_VISIT(listener->callback.get());
    Py_VISIT(listener->context.get());
  }
  return 0;
}

void EventStream::clear() {
  departure_ = Listener();
  shutdown_ = Listener();
}

// --- The Python object ---------------------------------------------------------------------

namespace {

using EventStreamObject = Holder<EventStream>;

// A year: server/base/settings.h has no longer time either.
constexpr double kMaxSeconds = 365.0 * 24 * 3600;

using Fields = std::array<PyObject*, 4>;  // data, event, id, retry: null where they are not given

// False with an error set.
bool read_fields(const Names& names, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                 Fields& fields) {
  const Fields known = {names.data, names.event, names.id, names.retry};
  if (count > static_cast<Py_ssize_t>(fields.size())) {
    PyErr_Format(PyExc_TypeError, "send() takes at most 4 arguments (%zd given)", count);
    return false;
  }
  std::copy_n(arguments, count, fields.begin());
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* name = PyTuple_GET_ITEM(keywords, i);
    std::size_t place = 0;
    while (place < known.size() && name != known[place] && PyUnicode_Compare(name, known[place]) != 0)
      ++place;
    if (place == known.size() || fields[place] != nullptr) {
      PyErr_Format(PyExc_TypeError, "send() got an unexpected argument, or one twice: %R", name);
      return false;
    }
    fields[place] = arguments[count + i];
  }
  if (fields[0] == nullptr) PyErr_SetString(PyExc_TypeError, "send() needs the argument 'data'");
  return fields[0] != nullptr;
}

// False with an error set: no str, or half of a surrogate pair in it.
bool read_text(PyObject* text, const char* what, std::string_view& view) {
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "%s must be str, not %.100s", what, Py_TYPE(text)->tp_name);
    return false;
  }
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (data == nullptr) return false;
  view = {data, static_cast<std::size_t>(size)};
  return true;
}

bool read_optional(PyObject* text, const char* what, std::optional<std::string_view>& field) {
  return text == nullptr || text == Py_None || read_text(text, what, field.emplace());
}

bool read_retry(PyObject* retry, std::optional<std::uint64_t>& field) {
  if (retry == nullptr || retry == Py_None) return true;
  if (!PyLong_CheckExact(retry)) {
    PyErr_Format(PyExc_TypeError, "retry must be int (milliseconds), not %.100s", Py_TYPE(retry)->tp_name);
    return false;
  }
  int overflow = 0;
  const long long milliseconds = PyLong_AsLongLongAndOverflow(retry, &overflow);
  if (milliseconds < 0 || overflow != 0) {
    PyErr_SetString(PyExc_ValueError, "retry must be between 0 and 2**63 - 1 milliseconds");
    return false;
  }
  field = static_cast<std::uint64_t>(milliseconds);
  return true;
}

PyObject* call_send(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  EventStream& stream = event_stream_of(self);
  Fields fields{};
  sse::Event event;
  const bool read = read_fields(stream.module().names, arguments, count, keywords, fields) &&
                    read_optional(fields[0], "data", event.data) &&
                    read_optional(fields[1], "event", event.name) &&
                    read_optional(fields[2], "id", event.id) && read_retry(fields[3], event.retry);
  return read ? stream.send(event) : new_failed_awaitable(stream.module(), take_error());
}

PyObject* call_comment(PyObject* self, PyObject* text) {
  EventStream& stream = event_stream_of(self);
  std::string_view view;
  return read_text(text, "text", view) ? stream.comment(view)
                                       : new_failed_awaitable(stream.module(), take_error());
}

PyObject* call_keep_alive(PyObject* self, PyObject* interval) {
  const double seconds = PyFloat_AsDouble(interval);
  if (seconds == -1 && PyErr_Occurred() != nullptr) return nullptr;
  if (!(seconds >= 0) || seconds > kMaxSeconds) {
    PyErr_Format(PyExc_ValueError, "keep_alive() takes between 0 and a year of seconds, not %R", interval);
    return nullptr;
  }
  event_stream_of(self).keep_alive(
      std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000))));
  Py_RETURN_NONE;
}

template <bool (EventStream::*listen)(PyObject*)>
PyObject* call_listen(PyObject* self, PyObject* callback) {
  if (callback != Py_None && PyCallable_Check(callback) == 0) {
    PyErr_Format(PyExc_TypeError, "callback must be callable or None, not %.100s",
                 Py_TYPE(callback)->tp_name);
    return nullptr;
  }
  if (!(event_stream_of(self).*listen)(callback == Py_None ? nullptr : callback)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* call_statistics(PyObject* self, PyObject*) { return event_stream_of(self).statistics(); }

PyMethodDef kMethods[] = {
    {"send", as_method(guarded<&call_send>), METH_FASTCALL | METH_KEYWORDS,
     "send(data, event=None, id=None, retry=None) -> awaitable; waits while the client reads too slowly."},
    {"comment", guarded<&call_comment>, METH_O, "comment(text) -> awaitable, as send()'s."},
    {"keep_alive", guarded<&call_keep_alive>, METH_O,
     "keep_alive(seconds): a comment \": ping\" whenever nothing was sent for so long; 0: no more."},
    {"on_disconnect", guarded<&call_listen<&EventStream::on_disconnect>>, METH_O,
     "on_disconnect(callback): it is called once, by the loop, when the client has left. None: nobody is."},
    {"on_shutdown", guarded<&call_listen<&EventStream::on_shutdown>>, METH_O,
     "on_shutdown(callback): it is called once, by the loop, when the server stops. None: nobody is."},
    {"statistics", guarded<&call_statistics>, METH_NOARGS,
     "statistics() -> dict of events_sent, bytes_sent, queued."},
    {nullptr, nullptr, 0, nullptr}};

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  return event_stream_of(object).traverse(visit, arg);
}

int clear(PyObject* object) {
  event_stream_of(object).clear();
  return 0;
}

void end_object(PyObject* object) { std::destroy_at(&event_stream_of(object)); }

PyType_Slot kSlots[] = {{Py_tp_doc, const_cast<char*>("The event stream that answers one request.")},
                        {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
                        {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                        {Py_tp_clear, reinterpret_cast<void*>(clear)},
                        {Py_tp_methods, kMethods},
                        {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.EventStream", sizeof(EventStreamObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};

}  // namespace

EventStream& event_stream_of(PyObject* object) { return EventStreamObject::held(object); }

Ref new_event_stream(Module& module, HttpCycle& cycle, bool left, bool draining) {
  auto* object =
      PyObject_GC_New(EventStreamObject, reinterpret_cast<PyTypeObject*>(module.event_stream_type.get()));
  if (object == nullptr) return Ref();
  new (object->storage) EventStream(module, cycle, left, draining);
  PyObject_GC_Track(object);
  return Ref::steal(reinterpret_cast<PyObject*>(object));
}

PyObject* open_event_stream(PyObject*, PyObject* call) {
  HttpCycle* cycle = cycle_of(call);
  return cycle == nullptr ? Py_NewRef(Py_None) : cycle->open_event_stream();
}

int add_event_stream_type(PyObject* module, Module& state) {
  return add_type(module, kSpec, state.event_stream_type);
}

}  // namespace fasterapi::asgi
