// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/eal.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <sstream>
#include <thread>
#include <unistd.h>
#include <vector>

#include "engines/dpdk/plugin/log.hpp"

namespace wirepath::dpdk {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t enough = std::uint64_t{32} << 20; // bytes of huge pages
// MiB without them, for what drivers allocate: packets are in memory of our own. Used only where it is touched.
constexpr const char* plain_memory = "128";

std::uint64_t free_huge_bytes() {
    std::uint64_t bytes = 0;
    std::error_code none;
    for (const auto& size : fs::directory_iterator("/sys/kernel/mm/hugepages", none)) {
        std::uint64_t pages = 0;
        std::ifstream(size.path() / "free_hugepages") >> pages;
        bytes += pages * std::strtoull(size.path().filename().c_str() + sizeof "hugepages-" - 1, nullptr, 10) * 1024;
    }
    return bytes;
}

bool wants_huge_pages(const Settings& settings) {
    const std::uint64_t there = free_huge_bytes();
    if (settings.huge_pages == HugePages::on && there < enough)
        throw Error(Code::unsupported, "starting DPDK with huge pages", 0,
                    "There are " + std::to_string(there >> 20) +
                        " MiB of them free. Reserve some first: sysctl vm.nr_hugepages=64");
    return settings.huge_pages != HugePages::off && there >= enough;
}

// All CPUs that this thread may use, as the one lcore's: EAL pins nobody to a CPU of its own choice.
std::string lcores() {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    ::sched_getaffinity(0, sizeof cpus, &cpus);
    std::string list = "0@(";
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &cpus))
            list += std::to_string(cpu) + ",";
    list.back() = ')';
    return list;
}

// uio's drivers give a device physical addresses, vfio's those of the process.
std::string kernel_driver(const std::string& pci) {
    std::error_code none;
    return fs::read_symlink("/sys/bus/pci/devices/" + pci.substr(0, pci.find(',')) + "/driver", none).filename();
}

bool needs_physical(const Settings& settings) {
    return settings.kind == Kind::pci && kernel_driver(settings.target).find("uio") != std::string::npos;
}

std::vector<std::string> arguments(const Settings& settings, bool huge_pages) {
    // A device that is not there, as the only one allowed: EAL is not to take what it finds bound, but what it is told.
    std::vector<std::string> list = {"wirepath", "--no-telemetry", "--lcores", lcores(), "-a", "0000:00:00.0"};
    if (huge_pages)
        list.push_back("--in-memory");
    else
        list.insert(list.end(), {"--no-huge", "--no-shconf", "-m", plain_memory});
    if (settings.kind == Kind::pci)
        list.push_back(needs_physical(settings) ? "--iova-mode=pa" : "--iova-mode=va");
    std::istringstream more(settings.eal_args);
    for (std::string word; more >> word;)
        list.push_back(word);
    return list;
}

// On a thread of its own: EAL changes the affinity of the thread that starts it. Its threads inherit that thread's
// signal mask, so that signals go to the program's.
int init(std::vector<std::string> list) {
    int error = 0;
    std::thread([&] {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        std::vector<char*> argv;
        for (std::string& word : list)
            argv.push_back(word.data());
        const auto argc = static_cast<int>(argv.size());
        argv.push_back(nullptr);
        error = rte_eal_init(argc, argv.data()) < 0 ? rte_errno : 0;
    }).join();
    return error;
}

} // namespace

Eal& Eal::get(const Settings& settings) {
    static std::mutex starting;
    static Eal eal;
    const std::lock_guard lock(starting);
    if (eal.process_ == 0)
        eal.start(settings);
    eal.check(settings);
    return eal;
}

void Eal::start(const Settings& settings) {
    const bool huge_pages = wants_huge_pages(settings);
    catch_log();
    if (const int error = init(arguments(settings, huge_pages)); error != 0)
        throw dpdk_error(error == EALREADY ? Code::unsupported : Code::system, "starting DPDK", error,
                         error == EALREADY ? "It failed before in this process: start a new one" : "");
    take_log();
    process_ = ::getpid();
    huge_pages_ = rte_eal_has_hugepages() != 0;
    physical_ = rte_eal_iova_mode() == RTE_IOVA_PA;
}

void Eal::check(const Settings& settings) const {
    if (process_ != ::getpid())
        throw Error(Code::unsupported, "opening " + settings.target + " with DPDK", 0,
                    "DPDK runs in the parent of this process, and runs in one only: open it there, or before forking");
    if (settings.huge_pages == HugePages::on && !huge_pages_)
        throw Error(Code::unsupported, "opening " + settings.target + " with huge pages", 0,
                    "DPDK was started without them in this process, and starts once");
    if (needs_physical(settings) && !physical_)
        throw Error(Code::unsupported, "opening " + settings.target + ", which is bound to a uio driver", 0,
                    "DPDK was started in this process for what needs no physical addresses, and starts once: open "
                    "this device first, with huge pages, or bind it to vfio-pci");
}

Error dpdk_error(Code code, const std::string& doing, int err, const std::string& hint) {
    const std::string log = take_log();
    return Error(code, doing + (log.empty() ? "" : " (" + log + ")"), err < 0 ? -err : err, hint);
}

} // namespace wirepath::dpdk
