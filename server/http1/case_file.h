// For tests: reads conformance/http1/cases/*.cases, whose format conformance/http1/README.md explains.
// The files are the project's own: what is not in the format ends the test run with an exception.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fasterapi::http1 {

struct CaseOutcome {
  std::vector<std::string> words;  // "accept GET /x body", "refuse 400 501", "keep", ...; escapes resolved
  std::vector<std::pair<std::string, std::string>> fields;  // that the application is given
  std::vector<std::string> absent;                          // names of those that it is not
};

struct FileCase {
  std::string id;
  std::string title;  // with the section behind it
  std::string input;
  std::vector<CaseOutcome> expected;  // the server's choice; another one's, behind "or", is left out
};

// \r \n \t \\ \" \xHH, and \{N*text}: the text N times.
inline std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(text[i]);
      continue;
    }
    switch (char kind = text.at(++i)) {
      case 'r':
        out.push_back('\r');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'x':
        out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
        i += 2;
        break;
      case '{': {
        std::size_t star = text.find('*', i);
        std::size_t end = text.find('}', i);
        std::string repeated = unescape(text.substr(star + 1, end - star - 1));
        for (int n = std::stoi(std::string(text.substr(i + 1, star - i - 1))); n > 0; --n) out += repeated;
        i = end;
        break;
      }
      default:
        out.push_back(kind);
    }
  }
  return out;
}

inline void read_outcome(std::string_view line, std::vector<CaseOutcome>& outcomes) {
  if (!line.starts_with("  ")) {
    CaseOutcome& outcome = outcomes.emplace_back();
    for (std::size_t end = 0; end != std::string_view::npos; line.remove_prefix(end + 1)) {
      // The body of a request is the fourth word, and the only one that may have spaces.
      end =
          outcome.words.size() == 3 && outcome.words[0] == "accept" ? std::string_view::npos : line.find(' ');
      outcome.words.push_back(unescape(line.substr(0, end)));
      if (end == std::string_view::npos) break;
    }
    return;
  }
  line.remove_prefix(2);
  if (line.starts_with("- ")) {
    outcomes.back().absent.emplace_back(line.substr(2));
    return;
  }
  std::size_t colon = line.find(':');
  std::string_view value = line.substr(std::min(colon + 2, line.size()));
  outcomes.back().fields.emplace_back(unescape(line.substr(0, colon)), unescape(value));
}

inline void read_cases(const std::filesystem::path& file, std::vector<FileCase>& cases) {
  std::ifstream stream(file);
  bool alternative = false;
  for (std::string text; std::getline(stream, text);) {
    std::string_view line = text;
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[') {
      std::size_t end = line.find(']');
      cases.push_back({std::string(line.substr(1, end - 1)), std::string(line.substr(end + 2)), {}, {}});
      alternative = false;
    } else if (line[0] == '>') {
      cases.back().input += unescape(line.substr(line.size() > 1 ? 2 : 1)) + "\r\n";
    } else if (line[0] == '|') {
      cases.back().input += unescape(line.substr(2));
    } else if (line == "or") {
      alternative = true;
    } else if (!alternative) {
      read_outcome(line, cases.back().expected);
    }
  }
}

}  // namespace fasterapi::http1
