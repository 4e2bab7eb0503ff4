#include "asgi/socket_transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "asgi/guard.h"
#include "asgi/socket_address.h"

namespace fasterapi::asgi {

namespace {

// More pieces than this in one sendmsg bring nothing measurable; the kernel's limit is 1024.
constexpr std::size_t kMaxVectors = 64;
// Of bytes that wait, a piece of this size is kept by reference; less is copied behind what waits already.
constexpr std::size_t kLeastKept = 4096;
// Writes after the connection was lost, until a warning is logged for each: asyncio's number.
constexpr unsigned kQuietLateWrites = 5;

SocketTransport& transport_of(PyObject* object) {
  return reinterpret_cast<SocketTransportObject*>(object)->transport;
}

PyObject* none_if(bool done) { return done ? Py_NewRef(Py_None) : nullptr; }

// Callbacks as the loop knows them; the bound method keeps the transport alive.
PyObject* start_reading(PyObject* self, PyObject*) { return none_if(transport_of(self).start_reading()); }
PyObject* read_ready(PyObject* self, PyObject*) { return none_if(transport_of(self).read_ready()); }
PyObject* write_ready(PyObject* self, PyObject*) { return none_if(transport_of(self).write_ready()); }
PyObject* call_connection_lost(PyObject* self, PyObject* error) {
  return none_if(transport_of(self).call_connection_lost(error));
}

PyMethodDef kStartReading = {"_add_reader", guarded<&start_reading>, METH_NOARGS, nullptr};
PyMethodDef kReadReady = {"_read_ready", guarded<&read_ready>, METH_NOARGS, nullptr};
PyMethodDef kWriteReady = {"_write_ready", guarded<&write_ready>, METH_NOARGS, nullptr};
PyMethodDef kCallConnectionLost = {"_call_connection_lost", guarded<&call_connection_lost>, METH_O, nullptr};

// The error that is set is the loop's, whatever the transport does.
bool ends_loop() {
  return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit);
}

bool would_block() { return errno == EAGAIN || errno == EINTR; }

// What the kernel says of a socket's address, or None where it has none. Null with an error set.
using Ask = int (*)(int, sockaddr*, socklen_t*) noexcept;
Ref address(PyObject* socket, int fd, Ask ask, PyObject* method) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (ask(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return Ref::share(Py_None);
  Ref found = to_address(storage, size);
  return found || PyErr_Occurred() ? found : call_method(socket, method);
}

}  // namespace

// --- Beginning -----------------------------------------------------------------------------

bool SocketTransport::open(PyObject* loop, PyObject* socket, PyObject* protocol, PyObject* waiter,
                           PyObject* extra, PyObject* server) {
  Scheduler* scheduler = scheduler_of(module_, loop);
  if (scheduler == nullptr) {
    PyErr_SetString(PyExc_TypeError, "the loop must be a fasterapi.loop.EventLoop");
    return false;
  }
  descriptor_ = call_method(socket, module_.names.fileno);
  const long fd = descriptor_ ? PyLong_AsLong(descriptor_.get()) : -1;
  if (fd < 0) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "the socket is closed");
    return false;
  }
  fd_ = static_cast<int>(fd);
  if (!set_protocol(protocol)) return false;
  socket_ = Ref::share(socket);
  if (!fill_extra(extra)) {
    socket_.reset();
    return false;
  }
  loop_ = Ref::share(loop);
  scheduler_ = scheduler;
  scheduler_->add_transport(fd_, *this);
  // Small writes leave without waiting for the peer's acknowledgement. Refused where it is not TCP.
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (server != Py_None && !tell_server(server, module_.names._attach)) return false;
  server_ = server == Py_None ? Ref() : Ref::share(server);
  return schedule_start(waiter);
}

void SocketTransport::abandon() {
  ErrorKept kept;
  let_go();
  if (server_ && !tell_server(server_.get(), module_.names._detach)) PyErr_WriteUnraisable(self_);
  server_.reset();
}

bool SocketTransport::fill_extra(PyObject* extra) {
  const Names& names = module_.names;
  extra_ = extra == Py_None ? Ref::steal(PyDict_New()) : Ref::share(extra);
  if (!extra_) return false;
  PyObject* dict = extra_.get();
  Ref wrapped = Ref::steal(PyObject_CallOneArg(module_.transport_socket.get(), socket_.get()));
  if (!wrapped || PyDict_SetItem(dict, names.socket, wrapped.get()) != 0) return false;
  Ref own = address(socket_.get(), fd_, ::getsockname, names.getsockname);
  if (!own || PyDict_SetItem(dict, names.sockname, own.get()) != 0) return false;
  const int known = PyDict_Contains(dict, names.peername);
  if (known != 0) return known > 0;
  Ref peer = address(socket_.get(), fd_, ::getpeername, names.getpeername);
  return peer && PyDict_SetItem(dict, names.peername, peer.get()) == 0;
}

// In this order: the protocol hears of the connection, then of bytes; then whoever made it goes on.
bool SocketTransport::schedule_start(PyObject* waiter) {
  Ref made = Ref::steal(PyObject_GetAttr(protocol_.get(), module_.names.connection_made));
  if (!made) return false;
  Ref handle = Ref::steal(reinterpret_cast<PyObject*>(scheduler_->call_soon(made.get(), &self_, 1, nullptr)));
  if (!handle || !soon(kStartReading, nullptr)) return false;
  if (waiter == Py_None) return true;
  PyObject* arguments[] = {waiter, Py_None};
  handle = Ref::steal(reinterpret_cast<PyObject*>(
      scheduler_->call_soon(module_.set_result_unless_cancelled.get(), arguments, 2, nullptr)));
  return static_cast<bool>(handle);
}

bool SocketTransport::tell_server(PyObject* server, PyObject* method) {
#if PY_VERSION_HEX >= 0x030D0000
  return static_cast<bool>(call_method(server, method, self_));
#else
  return static_cast<bool>(call_method(server, method));
#endif
}

bool SocketTransport::set_protocol(PyObject* protocol) {
  const int buffered = PyObject_IsInstance(protocol, module_.buffered_protocol.get());
  if (buffered < 0) return false;
  Ref previous = std::exchange(protocol_, Ref::share(protocol));
  buffered_ = buffered == 1;
  return true;
}

// --- The loop ------------------------------------------------------------------------------

bool SocketTransport::watch(Scheduler::Event event) {
  if (scheduler_ == nullptr) return true;
  Ref callback =
      Ref::steal(PyCFunction_New(event == Scheduler::Event::kRead ? &kReadReady : &kWriteReady, self_));
  if (!callback) return false;
  Handle* handle = scheduler_->watch(descriptor_.get(), fd_, event, callback.get(), nullptr, 0);
  if (handle == nullptr) return false;
  Py_DECREF(handle);
  if (event == Scheduler::Event::kRead) watches_read_ = true;
  return true;
}

// Fails only where somebody has closed the descriptor, and then nothing is watched.
void SocketTransport::unwatch(Scheduler::Event event) {
  if (event == Scheduler::Event::kRead) watches_read_ = false;
  if (scheduler_ != nullptr && scheduler_->unwatch(fd_, event) < 0) PyErr_Clear();
}

bool SocketTransport::soon(PyMethodDef& method, PyObject* argument) {
  if (scheduler_ == nullptr) return true;
  Ref callback = Ref::steal(PyCFunction_New(&method, self_));
  if (!callback) return false;
  Handle* handle = scheduler_->call_soon(callback.get(), &argument, argument == nullptr ? 0 : 1, nullptr);
  Py_XDECREF(handle);
  return handle != nullptr;
}

// --- Reading -------------------------------------------------------------------------------

bool SocketTransport::start_reading() { return !is_reading() || watch(Scheduler::Event::kRead); }

bool SocketTransport::pause_reading() {
  if (!is_reading()) return true;
  paused_ = true;
  unwatch(Scheduler::Event::kRead);
  return debug_log("%r pauses reading");
}

bool SocketTransport::resume_reading() {
  if (closing_ || !paused_) return true;
  paused_ = false;
  return watch(Scheduler::Event::kRead) && debug_log("%r resumes reading");
}

bool SocketTransport::read_ready() {
  if (lost_ > 0) return true;
  return buffered_ ? read_into_buffer() : read_bytes();
}

bool SocketTransport::read_bytes() {
  std::vector<char>& buffer = scheduler_->loop().read_buffer();
  const ssize_t count = recv(fd_, buffer.data(), buffer.size(), 0);
  if (count < 0) {
    if (would_block()) return true;
    PyErr_SetFromErrno(PyExc_OSError);
    return fail("Fatal read error on socket transport");
  }
  if (count == 0) return on_eof();
  Ref data = to_bytes({buffer.data(), static_cast<std::size_t>(count)});
  Ref protocol = protocol_;
  if (data && call_method(protocol.get(), module_.names.data_received, data.get())) return true;
  return fail("Fatal error: protocol.data_received() call failed.");
}

bool SocketTransport::read_into_buffer() {
  Ref protocol = protocol_;
  Ref hint = Ref::steal(PyLong_FromLong(-1));
  Ref place = hint ? call_method(protocol.get(), module_.names.get_buffer, hint.get()) : Ref();
  Py_buffer view;
  if (!place || PyObject_GetBuffer(place.get(), &view, PyBUF_WRITABLE) != 0) {
    return fail("Fatal error: protocol.get_buffer() call failed.");
  }
  if (view.len == 0) {
    PyBuffer_Release(&view);
    PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    return fail("Fatal error: protocol.get_buffer() call failed.");
  }
  const ssize_t count = recv(fd_, view.buf, static_cast<std::size_t>(view.len), 0);
  const int error = errno;
  PyBuffer_Release(&view);
  errno = error;
  if (count < 0) {
    if (would_block()) return true;
    PyErr_SetFromErrno(PyExc_OSError);
    return fail("Fatal read error on socket transport");
  }
  if (count == 0) return on_eof();
  Ref number = Ref::steal(PyLong_FromSsize_t(count));
  if (number && call_method(protocol.get(), module_.names.buffer_updated, number.get())) return true;
  return fail("Fatal error: protocol.buffer_updated() call failed.");
}

bool SocketTransport::on_eof() {
  if (!debug_log("%r received EOF")) return false;
  Ref protocol = protocol_;
  Ref answer = call_method(protocol.get(), module_.names.eof_received);
  const int keeps_open = answer ? PyObject_IsTrue(answer.get()) : -1;
  if (keeps_open < 0) return fail("Fatal error: protocol.eof_received() call failed.");
  if (keeps_open == 0) return close();
  unwatch(Scheduler::Event::kRead);
  return true;
}

// --- Writing -------------------------------------------------------------------------------

bool SocketTransport::write(PyObject* data) {
  if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
    PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not '%.100s'",
                 Py_TYPE(data)->tp_name);
    return false;
  }
  if (eof_ || empty_waiter_) {
    PyErr_SetString(PyExc_RuntimeError, eof_ ? "Cannot call write() after write_eof()"
                                             : "unable to write; sendfile is in progress");
    return false;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) != 0) return false;
  struct Release {
    Py_buffer& view;
    ~Release() { PyBuffer_Release(&view); }
  } release{view};
  std::string_view rest(static_cast<const char*>(view.buf), static_cast<std::size_t>(view.len));
  if (rest.empty()) return true;
  if (lost_ > 0) return warn_of_late_write();
  if (output_.empty()) {
    const ssize_t sent = send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && !would_block()) {
      PyErr_SetFromErrno(PyExc_OSError);
      return fail("Fatal write error on socket transport");
    }
    if (sent > 0) rest.remove_prefix(static_cast<std::size_t>(sent));
    if (rest.empty()) return true;
    if (!watch(Scheduler::Event::kWrite)) return false;
  }
  keep(data, rest);
  return maybe_pause_protocol();
}

void SocketTransport::keep(PyObject* data, std::string_view rest) {
  if (rest.size() < kLeastKept || !PyBytes_CheckExact(data)) return output_.append(rest);
  output_.append(
      base::Slice(rest, Py_NewRef(data), [](void* owner) { Py_DECREF(static_cast<PyObject*>(owner)); }));
}

bool SocketTransport::warn_of_late_write() {
  if (lost_++ < kQuietLateWrites) return true;
  Ref logger = Ref::steal(PyObject_GetAttr(module_.base_events.get(), module_.names.logger));
  Ref text = Ref::steal(PyUnicode_FromString("socket.send() raised exception."));
  return logger && text && call_method(logger.get(), module_.names.warning, text.get());
}

bool SocketTransport::write_ready() {
  if (lost_ > 0) return true;
  std::array<iovec, kMaxVectors> vectors;
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = output_.gather(vectors);
  const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (sent < 0) {
    if (would_block()) return true;
    PyErr_SetFromErrno(PyExc_OSError);
    return fail("Fatal write error on socket transport");
  }
  output_.consume(static_cast<std::size_t>(sent));
  output_.shrink();
  if (!maybe_resume_protocol()) return false;  // may write, close or abort
  return lost_ > 0 || !output_.empty() || on_emptied();
}

bool SocketTransport::on_emptied() {
  unwatch(Scheduler::Event::kWrite);
  if (!settle_waiter(module_.names.set_result, Py_None)) return false;
  if (closing_) {
    ++lost_;
    return call_connection_lost(Py_None);
  }
  return !eof_ || shut_down() || fail("Fatal write error on socket transport");
}

bool SocketTransport::write_eof() {
  if (closing_ || eof_) return true;
  eof_ = true;
  return !output_.empty() || shut_down();
}

bool SocketTransport::shut_down() {
  if (shutdown(fd_, SHUT_WR) == 0) return true;
  PyErr_SetFromErrno(PyExc_OSError);
  return false;
}

PyObject* SocketTransport::make_empty_waiter() {
  if (empty_waiter_ || !loop_) {
    PyErr_SetString(PyExc_RuntimeError, loop_ ? "Empty waiter is already set" : "the transport is closed");
    return nullptr;
  }
  Ref waiter = call_method(loop_.get(), module_.names.create_future);
  if (!waiter) return nullptr;
  if (output_.empty() && !call_method(waiter.get(), module_.names.set_result, Py_None)) return nullptr;
  empty_waiter_ = waiter;
  return waiter.release();
}

bool SocketTransport::settle_waiter(PyObject* method, PyObject* value) {
  if (!empty_waiter_) return true;
  Ref waiter = empty_waiter_;
  Ref done = call_method(waiter.get(), module_.names.done);
  return done && (done.get() == Py_True || call_method(waiter.get(), method, value));
}

// --- Flow control --------------------------------------------------------------------------

bool SocketTransport::set_limits(std::size_t high, std::size_t low) {
  high_ = high;
  low_ = low;
  return maybe_pause_protocol();
}

bool SocketTransport::maybe_pause_protocol() {
  return output_.size() <= high_ || protocol_paused_ || pause_protocol(true);
}

bool SocketTransport::maybe_resume_protocol() {
  return output_.size() > low_ || !protocol_paused_ || pause_protocol(false);
}

bool SocketTransport::pause_protocol(bool pause) {
  protocol_paused_ = pause;
  Ref protocol = protocol_;
  if (!protocol) return true;
  const Names& names = module_.names;
  if (call_method(protocol.get(), pause ? names.pause_writing : names.resume_writing)) return true;
  if (ends_loop()) return false;
  Ref error = take_error();
  return report(pause ? "protocol.pause_writing() failed" : "protocol.resume_writing() failed", error.get());
}

// --- Ending --------------------------------------------------------------------------------

bool SocketTransport::close() {
  if (closing_) return true;
  closing_ = true;
  unwatch(Scheduler::Event::kRead);
  if (!output_.empty()) return true;
  ++lost_;
  unwatch(Scheduler::Event::kWrite);
  return soon(kCallConnectionLost, Py_None);
}

bool SocketTransport::force_close(Ref error) {
  if (lost_ > 0) return true;
  closing_ = true;
  ++lost_;
  output_.clear();
  unwatch(Scheduler::Event::kRead);
  unwatch(Scheduler::Event::kWrite);
  return soon(kCallConnectionLost, error ? error.get() : Py_None);
}

bool SocketTransport::fail(const char* message) {
  if (ends_loop()) return false;
  Ref error = take_error();
  const bool system = PyObject_IsInstance(error.get(), PyExc_OSError) == 1;
  const bool told = system ? debug_log("%r: %s", message, error.get()) : report(message, error.get());
  Ref raised = take_error();
  const bool closed = force_close(std::move(error));
  if (raised) give_error(std::move(raised));
  return told && closed;
}

bool SocketTransport::call_connection_lost(PyObject* error) {
  if (!loop_) return true;
  Ref first;  // of what is raised here, by the protocol as a rule
  auto keep = [&first](bool succeeded) {
    if (succeeded) return;
    Ref raised = take_error();
    if (!first) first = std::move(raised);
  };
  Ref protocol = protocol_;
  keep(static_cast<bool>(call_method(protocol.get(), module_.names.connection_lost, error)));
  Ref socket = let_go();
  if (socket) keep(static_cast<bool>(call_method(socket.get(), module_.names.close)));
  if (server_) keep(tell_server(server_.get(), module_.names._detach));
  server_.reset();
  Ref gone = Ref::steal(PyObject_CallFunction(PyExc_ConnectionError, "s", "Connection is closed by peer"));
  keep(gone && settle_waiter(module_.names.set_exception, gone.get()));
  if (!first) return true;
  give_error(std::move(first));
  return false;
}

// Nothing touches the descriptor from here on: its number may soon be somebody else's.
Ref SocketTransport::let_go() {
  unwatch(Scheduler::Event::kRead);
  unwatch(Scheduler::Event::kWrite);
  if (scheduler_ != nullptr) scheduler_->remove_transport(fd_, *this);
  output_.clear();
  closing_ = true;
  if (lost_ == 0) ++lost_;
  fd_ = -1;
  scheduler_ = nullptr;
  protocol_.reset();
  loop_.reset();
  return std::move(socket_);
}

void SocketTransport::finalize() {
  if (!socket_) return;
  ErrorKept kept;
  if (PyErr_ResourceWarning(self_, 1, "unclosed transport %R", self_) != 0) PyErr_WriteUnraisable(self_);
  Ref socket = let_go();
  if (socket && !call_method(socket.get(), module_.names.close)) PyErr_WriteUnraisable(self_);
  if (server_ && !tell_server(server_.get(), module_.names._detach)) PyErr_WriteUnraisable(self_);
  server_.reset();
}

// --- What is told --------------------------------------------------------------------------

bool SocketTransport::report(const char* message, PyObject* error) {
  const Names& names = module_.names;
  Ref context = Ref::steal(PyDict_New());
  Ref text = Ref::steal(PyUnicode_FromString(message));
  PyObject* protocol = protocol_ ? protocol_.get() : Py_None;
  return context && text && PyDict_SetItem(context.get(), names.message, text.get()) == 0 &&
         PyDict_SetItem(context.get(), names.exception, error) == 0 &&
         PyDict_SetItem(context.get(), names.transport, self_) == 0 &&
         PyDict_SetItem(context.get(), names.protocol, protocol) == 0 && loop_ &&
         call_method(loop_.get(), names.call_exception_handler, context.get());
}

bool SocketTransport::debug_log(const char* format, const char* message, PyObject* error) {
  if (scheduler_ == nullptr || !scheduler_->debug()) return true;
  Ref logger = Ref::steal(PyObject_GetAttr(module_.base_events.get(), module_.names.logger));
  Ref log = logger ? Ref::steal(PyObject_GetAttr(logger.get(), module_.names.debug)) : Ref();
  Ref arguments = Ref::steal(message == nullptr ? Py_BuildValue("(sO)", format, self_)
                                                : Py_BuildValue("(sOs)", format, self_, message));
  Ref keywords = Ref::steal(PyDict_New());
  if (!log || !arguments || !keywords) return false;
  if (error != nullptr && PyDict_SetItem(keywords.get(), module_.names.exc_info, error) != 0) return false;
  return static_cast<bool>(Ref::steal(PyObject_Call(log.get(), arguments.get(), keywords.get())));
}

}  // namespace fasterapi::asgi
