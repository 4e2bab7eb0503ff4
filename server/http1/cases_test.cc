// Every case of conformance/http1 against the codec: whole, byte by byte and in two halves, with
// each complete request answered, so that what follows it is read too.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "server/http1/case_file.h"
#include "server/http1/codec.h"

namespace fasterapi::http1 {

// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest's name
void PrintTo(const FileCase& c, std::ostream* out) { *out << c.title; }

namespace {

std::vector<FileCase> all_cases() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(FASTERAPI_HTTP1_CASES)) {
    if (entry.path().extension() == ".cases") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<FileCase> cases;
  for (const auto& file : files) read_cases(file, cases);
  return cases;
}

// What came of an input, in the words of the case files.
class Observer {
 public:
  void feed(std::string_view bytes) {
    if (ended_) return;
    take(codec_.receive(bytes));
    while (codec_.request_complete() && !ended_) {
      answer();
      if (ended_) return;
      codec_.resume();
      if (!codec_.has_rest()) return;
      take(codec_.receive({}));
    }
  }

  std::vector<CaseOutcome> finish() {
    if (continued_) add("continue");
    if (!ended_) add(codec_.finish() ? "keep" : "wait");
    return outcomes_;
  }

 private:
  void take(std::span<const Event> events) {
    for (const Event& event : events) {
      continued_ = false;
      if (event.kind == EventKind::kBody) body_.append(event.body);
      if (event.kind == EventKind::kEnd) accept();
      if (event.kind == EventKind::kFailure) refuse();
    }
    // The application asks for the body as soon as it is called. Only a client that waits for the
    // answer to that sees it for certain.
    if (events.empty() || events.front().kind != EventKind::kHead) return;
    codec_.send_continue();
    continued_ = !codec_.output().empty();
    codec_.output().clear();
  }

  void accept() {
    const base::RequestHead& head = codec_.head();
    std::string target(head.path);
    if (!head.query.empty()) target.append("?").append(head.query);
    CaseOutcome& outcome = add("accept");
    outcome.words.insert(outcome.words.end(), {std::string(head.method), target});
    if (!body_.empty()) outcome.words.push_back('"' + body_ + '"');
    for (const base::Header& header : head.headers) outcome.fields.emplace_back(header.name, header.value);
    body_.clear();
  }

  void refuse() {
    add("refuse").words.push_back(std::to_string(codec_.failure().status));
    ended_ = true;
  }

  void answer() {
    base::Header headers[] = {{"content-length", "2"}};
    EXPECT_TRUE(codec_.send_head({200, headers}, {}));
    EXPECT_TRUE(codec_.send_body(std::string_view("ok"), base::Last::kYes));
    codec_.output().clear();
    if (!codec_.wants_close()) return;
    add("close");
    ended_ = true;
  }

  CaseOutcome& add(std::string_view word) {
    CaseOutcome& outcome = outcomes_.emplace_back();
    outcome.words.emplace_back(word);
    return outcome;
  }

  base::Settings settings_;
  Codec codec_{settings_};
  std::string body_;
  std::vector<CaseOutcome> outcomes_;
  bool continued_ = false;  // "100 Continue" was the last that was written
  bool ended_ = false;
};

std::vector<CaseOutcome> observe(std::string_view input, std::size_t piece) {
  Observer observer;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    // A copy of exactly these bytes, so that the address sanitizer sees a read beyond them.
    observer.feed(std::string(input.substr(at, piece)));
  }
  return observer.finish();
}

std::string text_of(const std::vector<CaseOutcome>& outcomes) {
  std::string text;
  for (const CaseOutcome& outcome : outcomes) {
    for (const std::string& word : outcome.words) text += word + " ";
    text += "\n";
  }
  return text;
}

// Of a refusal the first status named is the codec's.
std::string first_choices(std::vector<CaseOutcome> outcomes) {
  for (CaseOutcome& outcome : outcomes) {
    if (outcome.words[0] == "refuse") outcome.words.resize(2);
  }
  return text_of(outcomes);
}

void expect_fields(const CaseOutcome& seen, const CaseOutcome& expected) {
  for (const auto& field : expected.fields) {
    EXPECT_NE(std::find(seen.fields.begin(), seen.fields.end(), field), seen.fields.end())
        << "no " << field.first << ": " << field.second;
  }
  for (const std::string& name : expected.absent) {
    EXPECT_TRUE(std::none_of(seen.fields.begin(), seen.fields.end(),
                             [&](const auto& field) { return field.first == name; }))
        << "there is a " << name;
  }
}

std::string id_of(const testing::TestParamInfo<FileCase>& info) { return info.param.id; }

class Http1Cases : public testing::TestWithParam<FileCase> {};

TEST_P(Http1Cases, EndAsExpected) {
  const FileCase& c = GetParam();
  for (std::size_t piece : {c.input.size(), std::size_t{1}, c.input.size() / 2 + 1}) {
    std::vector<CaseOutcome> seen = observe(c.input, piece);
    ASSERT_EQ(text_of(seen), first_choices(c.expected)) << c.title << ", in pieces of " << piece;
    for (std::size_t i = 0; i < seen.size(); ++i) expect_fields(seen[i], c.expected[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Conformance, Http1Cases, testing::ValuesIn(all_cases()), id_of);

}  // namespace
}  // namespace fasterapi::http1
