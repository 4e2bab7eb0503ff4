// The transport of one connected stream socket, as asyncio's _SelectorSocketTransport: bytes from the
// socket go to the protocol, bytes from the protocol to the socket. A Python object owns it, and the
// scheduler's handles own that one while the socket is watched, as they would any other callback's.
//
// The protocol is called from the loop's callbacks alone, pause_writing() also from write(); it may
// close, write or replace itself in each call. Each member function that can call it returns false
// with an error set when that error is not the transport's to handle (KeyboardInterrupt, SystemExit).
#pragma once

#include <sys/types.h>

#include "asgi/loop.h"
#include "asgi/module.h"
#include "server/base/ledger.h"
#include "server/base/output.h"

namespace fasterapi::asgi {

class SocketTransport {
 public:
  SocketTransport(Module& module, PyObject* self)
      : module_(module), self_(self), entry_(module.ledger, base::Kind::kTransport) {}

  // Takes the connected, non-blocking `socket`; connection_made() and then reading are scheduled, then
  // `waiter` is set. `extra` (a dict), `waiter` (a future) and `server` may be None.
  bool open(PyObject* loop, PyObject* socket, PyObject* protocol, PyObject* waiter, PyObject* extra,
            PyObject* server);
  void abandon();  // after open() was false: the socket is the caller's again

  bool write(PyObject* data);  // a bytes-like object
  bool write_eof();
  bool close();  // once what was written has gone
  bool abort() { return force_close(Ref()); }
  bool force_close(Ref error);  // null: no error

  bool set_protocol(PyObject* protocol);
  bool pause_reading();
  bool resume_reading();
  bool is_reading() const { return !paused_ && !closing_; }
  bool is_closing() const { return closing_; }
  // Bytes that may wait to be sent: above `high` the protocol is paused, until there are `low`.
  bool set_limits(std::size_t high, std::size_t low);
  std::size_t high_water() const { return high_; }
  std::size_t low_water() const { return low_; }
  std::size_t waiting() const { return output_.size(); }
  bool protocol_paused() const { return protocol_paused_; }

  // A future for when all is written, for loop.sendfile(); until reset, nothing may be written. Null with an
  // error set.
  PyObject* make_empty_waiter();
  void reset_empty_waiter() { empty_waiter_.reset(); }

  // What the loop calls.
  bool start_reading();
  bool read_ready();
  bool write_ready();
  bool call_connection_lost(PyObject* error);

  // Whether nobody else may watch the descriptor; loop.sendfile() may.
  bool holds_descriptor() const { return !closing_ && !empty_waiter_; }
  PyObject* object() const { return self_; }
  // Null where there is none (any more).
  PyObject* loop() const { return loop_.get(); }
  PyObject* socket() const { return socket_.get(); }
  PyObject* protocol() const { return protocol_.get(); }
  PyObject* extra() const { return extra_.get(); }
  PyObject* descriptor() const { return descriptor_.get(); }  // a number, also of a socket that is closed

  Ref describe() const;  // as asyncio's repr(); null with an error set
  void finalize();       // nobody has a reference any more: warns if it was not closed
  int traverse(visitproc visit, void* arg);
  void clear();

 private:
  bool fill_extra(PyObject* extra);
  bool schedule_start(PyObject* waiter);
  bool tell_server(PyObject* server, PyObject* method);
  bool watch(Scheduler::Event event);
  void unwatch(Scheduler::Event event);
  bool soon(PyMethodDef& method, PyObject* argument);

  bool read_bytes();
  bool read_into_buffer();
  bool on_eof();
  bool on_emptied();
  void keep(PyObject* data, std::string_view rest);
  bool shut_down();
  bool settle_waiter(PyObject* method, PyObject* value);
  bool pause_protocol(bool pause);
  bool maybe_pause_protocol();
  bool maybe_resume_protocol();

  Ref let_go();  // of the loop and the protocol; the socket, which is to be closed

  // The error that is set ends the connection.
  bool fail(const char* message);
  bool report(const char* message, PyObject* error);
  bool debug_log(const char* format, const char* message = nullptr, PyObject* error = nullptr);
  bool warn_of_late_write();

  Module& module_;
  PyObject* self_;  // the Python object that this is a part of
  // None of these once connection_lost() has been called.
  Scheduler* scheduler_ = nullptr;  // alive as long as loop_
  Ref loop_;
  Ref socket_;
  Ref protocol_;
  Ref server_;
  int fd_ = -1;

  Ref descriptor_;
  Ref extra_;
  Ref empty_waiter_;
  base::Output output_;
  std::size_t high_ = 64 * 1024;  // asyncio's own
  std::size_t low_ = 16 * 1024;
  unsigned lost_ = 0;      // connection_lost() is scheduled; then counts writes that come too late
  bool buffered_ = false;  // the protocol is a BufferedProtocol
  bool closing_ = false;
  bool eof_ = false;
  bool paused_ = false;
  bool watches_read_ = false;
  bool protocol_paused_ = false;
  base::Ledger::Entry entry_;
};

struct SocketTransportObject {
  PyObject_HEAD PyObject* weak_references;
  SocketTransport transport;
};

}  // namespace fasterapi::asgi
