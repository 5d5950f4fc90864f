using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;

namespace MetaStore.Fuzz.Running;

/// <summary>
/// The input that is being run, in a file that outlives the process: what no handler catches (a stack that overflows) ends the process, and the next run finds there what did it.
/// Its first four bytes are the input's length, 0 where none is being run.
/// </summary>
internal sealed class LastInput : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly string _path;
    private readonly byte[] _length = new byte[sizeof(uint)];

    public LastInput(string target, int bytesMax)
    {
        string path = Path.Combine(Directory.CreateDirectory(CorpusFolder.Artifacts).FullName, $"running-{target}-{Environment.ProcessId}");
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Create, mapName: null, sizeof(uint) + bytesMax);
        _view = _file.CreateViewAccessor();
        _path = path;
    }

    /// <summary>Takes what runs of a target left that died, and removes their files.</summary>
    public static IEnumerable<byte[]> TakeOfTheDead(string target)
    {
        if (!Directory.Exists(CorpusFolder.Artifacts))
        {
            yield break;
        }

        foreach (string path in Directory.EnumerateFiles(CorpusFolder.Artifacts, $"running-{target}-*"))
        {
            bool isAlive = int.TryParse(path.AsSpan(path.LastIndexOf('-') + 1), out int process) && Directory.Exists($"/proc/{process}");
            if (isAlive)
            {
                continue;
            }

            byte[] bytes = File.ReadAllBytes(path);
            File.Delete(path);
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            if (length > 0)
            {
                yield return bytes[sizeof(uint)..(sizeof(uint) + (int)length)];
            }
        }
    }

    public void Begin(byte[] input)
    {
        _view.WriteArray(sizeof(uint), input, 0, input.Length);
        SetLength(input.Length);
    }

    public void End() => SetLength(0);

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
        File.Delete(_path);
    }

    private void SetLength(int length)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_length, length);
        _view.WriteArray(0, _length, 0, _length.Length);
    }
}
