// fasterapi._native.Server: the ASGI application, its connections and listeners, on an asyncio
// loop. From the first listen() until close() it is kept alive: by itself, until our own loop closes it;
// by the reader that it is on any other loop.
#include <unistd.h>

#include <fcntl.h>
#include <cerrno>
#include <new>

#include "asgi/application.h"
#include "asgi/loop.h"
#include "asgi/native_type.h"
#include "asgi/nested.h"
#include "asgi/server_settings.h"
#include "server/connection/server.h"

namespace fasterapi::asgi {

namespace {

struct NativeServer {
  Module* module = nullptr;
  PyObject* self = nullptr;
  Ref asyncio_loop;
  Ref logger;
  Ref access;
  Ref on_change;
  Scheduler* scheduler = nullptr;
  std::unique_ptr<NestedLoop> nested;
  std::unique_ptr<base::Log> log;
  std::unique_ptr<Application> application;
  std::unique_ptr<connection::Server> server;
  bool serving = false;
  bool closed = false;

  net::Loop& loop() { return scheduler != nullptr ? scheduler->loop() : nested->loop(); }
  void changed();
  void close();
};

using ServerObject = Holder<NativeServer>;

NativeServer& self_of(PyObject* object) { return ServerObject::held(object); }

void NativeServer::changed() {
  if (!on_change) return;
  ErrorKept kept;
  Ref callback = on_change;
  if (!Ref::steal(PyObject_CallNoArgs(callback.get()))) PyErr_WriteUnraisable(callback.get());
}

void NativeServer::close() {
  if (closed) return;
  closed = true;
  if (server != nullptr) {
    server->stop_listening();
    server->abort();
  }
  if (application != nullptr) application->let_go();
  if (nested != nullptr) nested->close();
  if (std::exchange(serving, false) && nested == nullptr) Py_DECREF(self);
}

// --- Construction --------------------------------------------------------------------------

const char* level_name(base::LogLevel level) {
  switch (level) {
    case base::LogLevel::kTrace:
    case base::LogLevel::kDebug:
      return "debug";
    case base::LogLevel::kInfo:
      return "info";
    case base::LogLevel::kWarning:
      return "warning";
    default:
      return "error";
  }
}

// The C++ rooms' messages to the Python logger, which applies the user's own configuration.
std::unique_ptr<base::Log> make_log(const Ref& logger) {
  PyObject* borrowed = logger.get();  // the NativeServer that owns the log owns the logger too
  auto sink = [borrowed](base::LogLevel level, std::string_view message) {
    ErrorKept kept;
    Ref text = to_str(message);
    Ref logged =
        text ? Ref::steal(PyObject_CallMethod(borrowed, level_name(level), "sO", "%s", text.get())) : Ref();
    if (!logged) PyErr_WriteUnraisable(borrowed);
  };
  Ref debug = Ref::steal(PyObject_CallMethod(borrowed, "isEnabledFor", "i", 10));
  if (!debug) PyErr_Clear();
  bool verbose = debug && debug.get() == Py_True;
  return std::make_unique<base::Log>(verbose ? base::LogLevel::kDebug : base::LogLevel::kInfo,
                                     std::move(sink));
}

void call_access(PyObject* callback, const connection::AccessRecord& record) {
  ErrorKept kept;
  char version[] = {static_cast<char>('0' + record.version.major), '.',
                    static_cast<char>('0' + record.version.minor), 0};
  Ref client = to_str(record.client);
  Ref method = to_str(record.method);
  Ref target = to_str(record.target);
  Ref called = client && method && target
                   ? Ref::steal(PyObject_CallFunction(callback, "OOOsi", client.get(), method.get(),
                                                      target.get(), version, record.status))
                   : Ref();
  if (!called) PyErr_WriteUnraisable(callback);
}

// False with an error set; `log` stays null when nothing is to be recorded.
bool make_access_log(NativeServer& self, const std::string& root_path,
                     std::unique_ptr<connection::AccessLog>& log) {
  PyObject* access = self.access.get();
  if (access == Py_None) return true;
  if (PyLong_Check(access)) {
    int fd = static_cast<int>(PyLong_AsLong(access));
    if (PyErr_Occurred()) return false;
    log = std::make_unique<connection::AccessLog>(self.loop(), fd, root_path);
    return true;
  }
  if (!PyCallable_Check(access)) {
    PyErr_SetString(PyExc_TypeError, "access must be a callable, a file descriptor or None");
    return false;
  }
  log = std::make_unique<connection::AccessLog>(
      self.loop(), [access](const connection::AccessRecord& record) { call_access(access, record); },
      root_path);
  return true;
}

bool build(NativeServer& self, PyObject* app, PyObject* context, std::string root_path, PyObject* state,
           const base::Settings& settings) {
  self.scheduler = scheduler_of(*self.module, self.asyncio_loop.get());
  if (self.scheduler != nullptr && self.scheduler->closed()) {
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return false;
  }
  if (self.scheduler == nullptr) {
    self.nested = std::make_unique<NestedLoop>(*self.module, self.asyncio_loop.get(), self.self);
  }
  Ref own_context = context == Py_None ? Ref::steal(PyContext_CopyCurrent()) : Ref::share(context);
  std::unique_ptr<connection::AccessLog> access_log;
  if (!own_context || !make_access_log(self, root_path, access_log)) return false;
  self.log = make_log(self.logger);
  self.application = std::make_unique<Application>(*self.module, self.self, self.loop(), self.scheduler, app,
                                                   self.asyncio_loop.get(), self.logger.get(),
                                                   own_context.get(), settings.zero_copy_threshold);
  if (!self.application->prepare(std::move(root_path), state)) return false;
  NativeServer* pointer = &self;
  self.application->set_on_change([pointer] { pointer->changed(); });
  self.server =
      std::make_unique<connection::Server>(self.loop(), settings, *self.application, *self.log,
                                           std::move(access_log), [pointer] { pointer->changed(); });
  if (self.scheduler != nullptr) {
    self.scheduler->add_close_hook(pointer, [](void* server) {
      auto* closing = static_cast<NativeServer*>(server);
      Ref alive = Ref::share(closing->self);
      closing->close();
      // The loop is about to go, and with it what connections and listeners are made of.
      closing->server.reset();
      closing->application->release_runs();
    });
  }
  return true;
}

int initialise(PyObject* object, PyObject* arguments, PyObject* keywords) {
  NativeServer& self = self_of(object);
  if (self.server != nullptr || self.closed) {
    PyErr_SetString(PyExc_RuntimeError, "a Server is initialised once");
    return -1;
  }
  static const char* names[] = {"app",     "loop",      "logger",   "access", "state",
                                "context", "root_path", "settings", nullptr};
  PyObject *app, *loop, *logger = nullptr, *access = Py_None, *state = Py_None, *context = Py_None;
  PyObject* options = Py_None;
  const char* root_path = "";
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$OOOOsO", const_cast<char**>(names), &app, &loop,
                                   &logger, &access, &state, &context, &root_path, &options)) {
    return -1;
  }
  if (!PyCallable_Check(app)) {
    PyErr_Format(PyExc_TypeError, "app must be an ASGI application, not %.200s", Py_TYPE(app)->tp_name);
    return -1;
  }
  if (logger == nullptr) {
    PyErr_SetString(PyExc_TypeError, "logger must be given");
    return -1;
  }
  if (context != Py_None && !PyContext_CheckExact(context)) {
    PyErr_SetString(PyExc_TypeError, "context must be a contextvars.Context or None");
    return -1;
  }
  base::Settings settings;
  if (!read_settings(options, settings)) return -1;
  self.asyncio_loop = Ref::share(loop);
  self.logger = Ref::share(logger);
  self.access = Ref::share(access);
  try {
    return build(self, app, context, root_path, state, settings) ? 0 : -1;
  } catch (...) {
    set_error_from_exception();
    return -1;
  }
}

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
  Module* module = module_of(type);
  if (module == nullptr) return nullptr;
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  auto* self = new (reinterpret_cast<ServerObject*>(object)->storage) NativeServer();
  self->module = module;
  self->self = object;
  return object;
}

// --- Methods -------------------------------------------------------------------------------

bool check_open(NativeServer& self) {
  if (self.server != nullptr && !self.closed) return true;
  PyErr_SetString(PyExc_RuntimeError, "the server is closed");
  return false;
}

PyObject* pump(PyObject* object, PyObject*) {
  NativeServer& self = self_of(object);
  Ref alive = Ref::share(object);
  if (self.nested != nullptr && !self.nested->pump()) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef kPump = {"_pump", guarded<&pump>, METH_NOARGS, nullptr};

bool begin_serving(NativeServer& self) {
  if (self.serving) return true;
  if (self.nested != nullptr) {
    Ref callable = Ref::steal(PyCFunction_New(&kPump, self.self));
    if (!callable || !self.nested->open(std::move(callable))) return false;
  } else {
    Py_INCREF(self.self);
  }
  self.serving = true;
  return true;
}

PyObject* listen(PyObject* object, PyObject* arguments, PyObject* keywords) {
  NativeServer& self = self_of(object);
  static const char* names[] = {"fd", "backlog", nullptr};
  int fd = -1;
  int backlog = 2048;
  if (!check_open(self) ||
      !PyArg_ParseTupleAndKeywords(arguments, keywords, "i|i", const_cast<char**>(names), &fd, &backlog)) {
    return nullptr;
  }
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return PyErr_SetFromErrno(PyExc_OSError);
  if (!begin_serving(self)) {
    ::close(own);
    return nullptr;
  }
  base::Result<void> result = self.server->listen(own, backlog);
  if (!result) {
    Ref error = Ref::steal(Py_BuildValue("(is)", result.failure().status, result.failure().reason.c_str()));
    if (error) PyErr_SetObject(PyExc_OSError, error.get());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* stop_listening(PyObject* object, PyObject*) {
  if (self_of(object).server != nullptr) self_of(object).server->stop_listening();
  Py_RETURN_NONE;
}

PyObject* drain(PyObject* object, PyObject*) {
  if (self_of(object).server != nullptr) self_of(object).server->drain();
  Py_RETURN_NONE;
}

PyObject* retire(PyObject* object, PyObject*) {
  if (self_of(object).server != nullptr) self_of(object).server->retire();
  Py_RETURN_NONE;
}

PyObject* abort_connections(PyObject* object, PyObject*) {
  if (self_of(object).server != nullptr) self_of(object).server->abort();
  Py_RETURN_NONE;
}

PyObject* close_server(PyObject* object, PyObject*) {
  Ref alive = Ref::share(object);
  self_of(object).close();
  Py_RETURN_NONE;
}

PyObject* on_change(PyObject* object, PyObject* callback) {
  if (callback != Py_None && !PyCallable_Check(callback)) {
    PyErr_SetString(PyExc_TypeError, "on_change() takes a callable or None");
    return nullptr;
  }
  self_of(object).on_change = callback == Py_None ? Ref() : Ref::share(callback);
  Py_RETURN_NONE;
}

PyObject* tasks(PyObject* object, PyObject*) {
  NativeServer& self = self_of(object);
  return self.application == nullptr ? PyList_New(0) : self.application->tasks().release();
}

PyObject* get_connections(PyObject* object, void*) {
  NativeServer& self = self_of(object);
  return PyLong_FromSize_t(self.server == nullptr ? 0 : self.server->connections());
}

PyObject* get_total_requests(PyObject* object, void*) {
  NativeServer& self = self_of(object);
  return PyLong_FromUnsignedLongLong(self.server == nullptr ? 0 : self.server->total_requests());
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  NativeServer& self = self_of(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self.asyncio_loop.get());
  Py_VISIT(self.logger.get());
  Py_VISIT(self.access.get());
  Py_VISIT(self.on_change.get());
  if (self.nested != nullptr) {
    if (int stop = self.nested->traverse(visit, arg); stop != 0) return stop;
  }
  return self.application == nullptr ? 0 : self.application->traverse(visit, arg);
}

int clear(PyObject* object) {
  self_of(object).on_change.reset();
  if (Application* application = self_of(object).application.get()) {
    application->let_go();
    application->release_runs();
  }
  return 0;
}

void end_object(PyObject* object) {
  ErrorKept kept;
  NativeServer& self = self_of(object);
  self.close();
  if (self.scheduler != nullptr) self.scheduler->remove_close_hook(&self);
  self.~NativeServer();
}

PyMethodDef kMethods[] = {
    {"listen", as_method(guarded<&listen>), METH_VARARGS | METH_KEYWORDS,
     "listen(fd, backlog=2048)\n\nAccepts connections on a bound stream socket, of which it takes a "
     "duplicate. "
     "Raises OSError."},
    {"stop_listening", guarded<&stop_listening>, METH_NOARGS,
     "Closes the listeners. Open connections go on."},
    {"drain", guarded<&drain>, METH_NOARGS,
     "Closes idle connections now, the others after the answer in hand."},
    {"retire", guarded<&retire>, METH_NOARGS,
     "Closes each connection after its next answer, and idle ones when their time is over."},
    {"abort", guarded<&abort_connections>, METH_NOARGS, "Cuts every connection at once."},
    {"close", guarded<&close_server>, METH_NOARGS,
     "Stops, cuts, and lets go of the application. Idempotent."},
    {"on_change", guarded<&on_change>, METH_O,
     "on_change(callback or None)\n\ncallback() follows the end of each connection and task."},
    {"tasks", guarded<&tasks>, METH_NOARGS, "tasks() -> list of the application's unfinished asyncio.Tasks."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kAttributes[] = {
    {"connections", get_connections, nullptr, "Open connections.", nullptr},
    {"total_requests", get_total_requests, nullptr, "Requests handed to the application so far.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("Serves one ASGI 3 application on an asyncio event loop.")},
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_init, reinterpret_cast<void*>(initialise)},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<end_object>)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kAttributes},
    {0, nullptr}};

PyType_Spec kSpec = {"fasterapi._native.Server", sizeof(ServerObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, kSlots};

}  // namespace

int add_server_type(PyObject* module, Module& state) { return add_type(module, kSpec, state.server_type); }

}  // namespace fasterapi::asgi
