#include "option_list.h"

#include <utility>

namespace foliofs::cli {

std::vector<vfs::OptionPair> split_options(const std::vector<std::string>& lists) {
  std::vector<vfs::OptionPair> options;
  const auto add = [&options](std::string word) {
    if (word.empty()) return;
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
      options.emplace_back(std::move(word), "");
    } else {
      options.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  };
  for (const std::string& list : lists) {
    std::string word;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i] == '\\' && i + 1 < list.size() && (list[i + 1] == ',' || list[i + 1] == '\\')) {
        word += list[++i];
      } else if (list[i] == ',') {
        add(std::exchange(word, {}));
      } else {
        word += list[i];
      }
    }
    add(std::move(word));
  }
  return options;
}

}  // namespace foliofs::cli
