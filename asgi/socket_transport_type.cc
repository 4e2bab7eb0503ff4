// The Python face of the socket transport: the methods of asyncio.Transport, and what asyncio itself uses of
// its own transports (sendfile, start_tls, debugging).

#include "asgi/socket_transport.h"

#include <structmember.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>

#include "asgi/native_type.h"
#include "asgi/socket_address.h"

namespace fasterapi::asgi {

namespace {

SocketTransportObject* object_of(PyObject* object) {
  return reinterpret_cast<SocketTransportObject*>(object);
}
SocketTransport& self_of(PyObject* object) { return object_of(object)->transport; }

PyObject* none_if(bool done) { return done ? Py_NewRef(Py_None) : nullptr; }
PyObject* or_none(PyObject* object) { return Py_NewRef(object == nullptr ? Py_None : object); }

// --- Methods -------------------------------------------------------------------------------

PyObject* write(PyObject* self, PyObject* data) { return none_if(self_of(self).write(data)); }

PyObject* writelines(PyObject* self, PyObject* pieces) {
  Module* module = module_of(Py_TYPE(self));
  Ref joined = module != nullptr ? call_method(module->empty_bytes.get(), module->names.join, pieces) : Ref();
  return none_if(joined && self_of(self).write(joined.get()));
}

PyObject* write_eof(PyObject* self, PyObject*) { return none_if(self_of(self).write_eof()); }
PyObject* can_write_eof(PyObject*, PyObject*) { Py_RETURN_TRUE; }
PyObject* close(PyObject* self, PyObject*) { return none_if(self_of(self).close()); }
PyObject* abort(PyObject* self, PyObject*) { return none_if(self_of(self).abort()); }
PyObject* force_close(PyObject* self, PyObject* error) {
  return none_if(self_of(self).force_close(error == Py_None ? Ref() : Ref::share(error)));
}
PyObject* is_closing(PyObject* self, PyObject*) { return PyBool_FromLong(self_of(self).is_closing()); }
PyObject* pause_reading(PyObject* self, PyObject*) { return none_if(self_of(self).pause_reading()); }
PyObject* resume_reading(PyObject* self, PyObject*) { return none_if(self_of(self).resume_reading()); }
PyObject* is_reading(PyObject* self, PyObject*) { return PyBool_FromLong(self_of(self).is_reading()); }
PyObject* get_protocol(PyObject* self, PyObject*) { return or_none(self_of(self).protocol()); }
PyObject* set_protocol(PyObject* self, PyObject* protocol) {
  return none_if(self_of(self).set_protocol(protocol));
}

PyObject* get_extra_info(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"name", "default", nullptr};
  PyObject *name = nullptr, *otherwise = Py_None;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:get_extra_info", const_cast<char**>(names),
                                   &name, &otherwise)) {
    return nullptr;
  }
  PyObject* extra = self_of(self).extra();
  PyObject* found = extra == nullptr ? nullptr : PyDict_GetItemWithError(extra, name);
  if (found == nullptr && PyErr_Occurred()) return nullptr;
  return Py_NewRef(found == nullptr ? otherwise : found);
}

PyObject* get_write_buffer_size(PyObject* self, PyObject*) {
  return PyLong_FromSize_t(self_of(self).waiting());
}

PyObject* get_write_buffer_limits(PyObject* self, PyObject*) {
  return Py_BuildValue("(nn)", static_cast<Py_ssize_t>(self_of(self).low_water()),
                       static_cast<Py_ssize_t>(self_of(self).high_water()));
}

// None: what follows from the other one, as asyncio's documentation has it.
PyObject* set_write_buffer_limits(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"high", "low", nullptr};
  PyObject *high = Py_None, *low = Py_None;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OO:set_write_buffer_limits",
                                   const_cast<char**>(names), &high, &low)) {
    return nullptr;
  }
  constexpr Py_ssize_t kDefaultHigh = 64 * 1024;
  Py_ssize_t least = low == Py_None ? 0 : PyNumber_AsSsize_t(low, nullptr);
  if (least == -1 && PyErr_Occurred()) return nullptr;
  Py_ssize_t most = kDefaultHigh;
  if (high != Py_None) {
    most = PyNumber_AsSsize_t(high, nullptr);
    if (most == -1 && PyErr_Occurred()) return nullptr;
  } else if (low != Py_None) {
    most = least > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX : 4 * least;
  }
  if (low == Py_None) least = most / 4;
  if (most < least || least < 0) {
    return PyErr_Format(PyExc_ValueError, "high (%zd) must be >= low (%zd) must be >= 0", most, least);
  }
  return none_if(self_of(self).set_limits(static_cast<std::size_t>(most), static_cast<std::size_t>(least)));
}

PyObject* make_empty_waiter(PyObject* self, PyObject*) { return self_of(self).make_empty_waiter(); }

PyObject* reset_empty_waiter(PyObject* self, PyObject*) {
  self_of(self).reset_empty_waiter();
  Py_RETURN_NONE;
}

// (descriptor, address) of the next connection, None: there is none. The descriptor does not block.
PyObject* accept_connection(PyObject*, PyObject* number) {
  const long listener = PyLong_AsLong(number);
  if (listener == -1 && PyErr_Occurred()) return nullptr;
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const int fd = accept4(static_cast<int>(listener), reinterpret_cast<sockaddr*>(&storage), &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) Py_RETURN_NONE;
  if (fd < 0) return PyErr_SetFromErrno(PyExc_OSError);
  Ref address = to_address(storage, size);
  if (!address && !PyErr_Occurred()) address = Ref::share(Py_None);
  PyObject* pair = address ? Py_BuildValue("(iO)", fd, address.get()) : nullptr;
  if (pair == nullptr) ::close(fd);
  return pair;
}

PyObject* repr(PyObject* self) { return self_of(self).describe().release(); }

// --- Attributes ----------------------------------------------------------------------------

// isinstance() asks for it: ours are asyncio's to whoever looks.
PyObject* get_class(PyObject* self, void*) {
  Module* module = module_of(Py_TYPE(self));
  return module == nullptr ? nullptr : Py_NewRef(module->socket_transport_class.get());
}

PyObject* get_loop(PyObject* self, void*) { return or_none(self_of(self).loop()); }
PyObject* get_socket(PyObject* self, void*) { return or_none(self_of(self).socket()); }
PyObject* get_descriptor(PyObject* self, void*) { return or_none(self_of(self).descriptor()); }
PyObject* get_extra(PyObject* self, void*) { return or_none(self_of(self).extra()); }
PyObject* get_protocol_paused(PyObject* self, void*) {
  return PyBool_FromLong(self_of(self).protocol_paused());
}

// --- The type ------------------------------------------------------------------------------

PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"loop", "sock", "protocol", "waiter", "extra", "server", nullptr};
  PyObject *loop = nullptr, *socket = nullptr, *protocol = nullptr;
  PyObject *waiter = Py_None, *extra = Py_None, *server = Py_None;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO|OOO:SocketTransport", const_cast<char**>(names),
                                   &loop, &socket, &protocol, &waiter, &extra, &server)) {
    return nullptr;
  }
  if (extra != Py_None && !PyDict_Check(extra)) {
    return PyErr_Format(PyExc_TypeError, "extra must be a dict, not %.100s", Py_TYPE(extra)->tp_name);
  }
  Module* module = module_of(type);
  Ref made = module == nullptr ? Ref() : Ref::steal(type->tp_alloc(type, 0));
  if (!made) return nullptr;
  auto* transport = new (&object_of(made.get())->transport) SocketTransport(*module, made.get());
  if (transport->open(loop, socket, protocol, waiter, extra, server)) return made.release();
  transport->abandon();
  return nullptr;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return self_of(self).traverse(visit, arg);
}

int clear(PyObject* self) {
  self_of(self).clear();
  return 0;
}

void finalize(PyObject* self) { self_of(self).finalize(); }

void end_object(PyObject* self) {
  if (object_of(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  std::destroy_at(&self_of(self));
}

void finalize_and_deallocate(PyObject* self) {
  if (PyObject_CallFinalizerFromDealloc(self) != 0) return;  // somebody keeps it
  deallocate<end_object>(self);
}

PyMethodDef kMethods[] = {
    {"write", guarded<&write>, METH_O,
     "Sends bytes, or keeps them until the socket takes them. Never blocks."},
    {"writelines", guarded<&writelines>, METH_O, "Writes the pieces, one behind the other."},
    {"write_eof", guarded<&write_eof>, METH_NOARGS, "Ends the sending side, behind what was written."},
    {"can_write_eof", can_write_eof, METH_NOARGS, "True."},
    {"close", guarded<&close>, METH_NOARGS, "Closes, once what was written is sent. Idempotent."},
    {"abort", guarded<&abort>, METH_NOARGS, "Closes at once; what is not sent is dropped. Idempotent."},
    {"_force_close", guarded<&force_close>, METH_O, nullptr},
    {"is_closing", is_closing, METH_NOARGS, "Whether it is closed, or closes."},
    {"pause_reading", guarded<&pause_reading>, METH_NOARGS, "No bytes for the protocol. Idempotent."},
    {"resume_reading", guarded<&resume_reading>, METH_NOARGS, "Ends pause_reading(). Idempotent."},
    {"is_reading", is_reading, METH_NOARGS, "Whether it is neither paused nor closing."},
    {"get_protocol", get_protocol, METH_NOARGS, "The protocol; None once the connection was lost."},
    {"set_protocol", guarded<&set_protocol>, METH_O, "Who hears of the connection from now on."},
    {"get_extra_info", as_method(guarded<&get_extra_info>), METH_VARARGS | METH_KEYWORDS,
     "get_extra_info(name, default=None): 'socket', 'sockname', 'peername'."},
    {"get_write_buffer_size", get_write_buffer_size, METH_NOARGS, "Bytes that wait to be sent."},
    {"get_write_buffer_limits", get_write_buffer_limits, METH_NOARGS, "(low, high), in bytes."},
    {"set_write_buffer_limits", as_method(guarded<&set_write_buffer_limits>), METH_VARARGS | METH_KEYWORDS,
     "set_write_buffer_limits(high=None, low=None): bytes that wait before the protocol is paused, and until "
     "it "
     "is resumed. ValueError unless high >= low >= 0."},
    {"accept", guarded<&accept_connection>, METH_O | METH_STATIC,
     "accept(fd) -> (descriptor, address) of the next connection of a listener, or None. Raises OSError."},
    {"_make_empty_waiter", guarded<&make_empty_waiter>, METH_NOARGS, nullptr},
    {"_reset_empty_waiter", reset_empty_waiter, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kAttributes[] = {{"__class__", get_class, nullptr, nullptr, nullptr},
                             {"_loop", get_loop, nullptr, nullptr, nullptr},
                             {"_sock", get_socket, nullptr, nullptr, nullptr},
                             {"_sock_fd", get_descriptor, nullptr, nullptr, nullptr},
                             {"_extra", get_extra, nullptr, nullptr, nullptr},
                             {"_protocol_paused", get_protocol_paused, nullptr, nullptr, nullptr},
                             {nullptr, nullptr, nullptr, nullptr, nullptr}};

// Right behind the head.
PyMemberDef kMembers[] = {{"__weaklistoffset__", T_PYSSIZET, sizeof(PyObject), READONLY, nullptr},
                          {nullptr, 0, 0, 0, nullptr}};

PyType_Slot kSlots[] = {
    {Py_tp_doc,
     const_cast<char*>("SocketTransport(loop, sock, protocol, waiter=None, extra=None, server=None)\n\n"
                       "The transport of a connected, non-blocking stream socket, which it owns.")},
    {Py_tp_new, reinterpret_cast<void*>(guarded<&create>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(finalize_and_deallocate)},
    {Py_tp_finalize, reinterpret_cast<void*>(finalize)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kAttributes},
    {Py_tp_members, kMembers},
    {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.SocketTransport", sizeof(SocketTransportObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, kSlots};

}  // namespace

Ref SocketTransport::describe() const {
  const char* state = !socket_ ? " closed" : closing_ ? " closing" : "";
  if (scheduler_ == nullptr || scheduler_->closed()) {
    return Ref::steal(PyUnicode_FromFormat("<SocketTransport%s fd=%S>", state, descriptor_.get()));
  }
  return Ref::steal(PyUnicode_FromFormat("<SocketTransport%s fd=%S read=%s write=<%s, bufsize=%zu>>", state,
                                         descriptor_.get(), watches_read_ ? "polling" : "idle",
                                         output_.empty() ? "idle" : "polling", output_.size()));
}

int SocketTransport::traverse(visitproc visit, void* arg) {
  for (const Ref* kept : {&loop_, &socket_, &protocol_, &server_, &extra_, &empty_waiter_}) {
    Py_VISIT(kept->get());
  }
  return 0;
}

void SocketTransport::clear() {
  let_go();
  for (Ref* kept : {&server_, &extra_, &empty_waiter_}) kept->reset();
}

int add_socket_transport_type(PyObject* module, Module& state) {
  if (add_type(module, kSpec, state.socket_transport_type) != 0) return -1;
  PyObject* type = state.socket_transport_type.get();
  Ref native = Ref::steal(PyObject_GetAttrString(state.sendfile_mode.get(), "TRY_NATIVE"));
  if (!native || PyObject_SetAttrString(type, "_sendfile_compatible", native.get()) != 0) return -1;
  return PyObject_SetAttrString(type, "_start_tls_compatible", Py_True);
}

}  // namespace fasterapi::asgi
