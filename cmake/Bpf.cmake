# A BPF program, compiled by clang to a CO-RE object at build time and embedded as a libbpf skeleton.
find_program(WIREPATH_CLANG NAMES clang clang-19 clang-16 clang-15 clang-14)
find_program(WIREPATH_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin)

if(WIREPATH_CLANG AND WIREPATH_BPFTOOL)
  set(WIREPATH_HAVE_bpf TRUE)
else()
  set(WIREPATH_HAVE_bpf FALSE)
endif()

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(WIREPATH_BPF_ARCH arm64)
else()
  set(WIREPATH_BPF_ARCH x86)
endif()

# wirepath_bpf_skeleton(TARGET path/NAME.bpf.c): gives TARGET the header <NAME.skel.h>.
function(wirepath_bpf_skeleton target source)
  get_filename_component(stem ${source} NAME)
  string(REPLACE ".bpf.c" "" stem ${stem})
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/bpf)
  set(compiled ${directory}/${stem}.full.o)
  set(object ${directory}/${stem}.bpf.o)
  set(skeleton ${directory}/${stem}.skel.h)
  file(MAKE_DIRECTORY ${directory})
  add_custom_command(
    OUTPUT ${compiled}
    COMMAND ${WIREPATH_CLANG} -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_${WIREPATH_BPF_ARCH} -Wall -Werror
            -I${CMAKE_CURRENT_SOURCE_DIR}/native -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -MD -MF ${compiled}.d -c ${source} -o ${compiled}
    DEPENDS ${source}
    DEPFILE ${compiled}.d
    COMMENT "BPF ${stem}" VERBATIM)
  # Keeps BTF, which CO-RE needs, and drops DWARF, which names the directories of this machine.
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${WIREPATH_BPFTOOL} gen object ${object} ${compiled}
    DEPENDS ${compiled} VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND sh -c "echo '// NOLINTBEGIN' > '${skeleton}'"
    COMMAND sh -c "'${WIREPATH_BPFTOOL}' gen skeleton '${object}' name ${stem}_bpf >> '${skeleton}'"
    COMMAND sh -c "echo '// NOLINTEND' >> '${skeleton}'"
    DEPENDS ${object} VERBATIM)
  target_sources(${target} PRIVATE ${skeleton})
  target_include_directories(${target} SYSTEM PRIVATE ${directory})
endfunction()
