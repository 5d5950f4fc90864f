using System.Buffers.Binary;
using MetaStore.Simulation;

namespace MetaStore.Fuzz.Running;

/// <summary>Makes an input of others.</summary>
internal sealed class Mutator(SimulationRandom random, IReadOnlyList<byte[]> words, int bytesMax)
{
    /// <summary>Numbers at which readers change their minds.</summary>
    private static readonly ulong[] s_numbers =
    [
        0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 32767, 32768, 65535, 65536, (1 << 20) - 1, 1 << 20, int.MaxValue, 1UL << 31,
        uint.MaxValue, 1UL << 32, long.MaxValue, 1UL << 63, ulong.MaxValue, ulong.MaxValue - 1, ulong.MaxValue << 8,
    ];

    /// <summary>A few changes to one of the pool; most often one or two.</summary>
    public byte[] Make(IReadOnlyList<byte[]> pool)
    {
        var bytes = new List<byte>(pool[random.Next(pool.Count)]);
        int changes = 1 << random.Next(random.Chance(0.8) ? 3 : 6);
        for (int i = 0; i < changes; i++)
        {
            Change(bytes, pool);
        }

        return bytes.Count <= bytesMax ? [.. bytes] : [.. bytes.Take(bytesMax)];
    }

    private void Change(List<byte> bytes, IReadOnlyList<byte[]> pool)
    {
        int at = random.Next(bytes.Count + 1);
        int left = bytes.Count - at;
        switch (random.Next(words.Count > 0 ? 13 : 11))
        {
            case 0 when left > 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when left > 0:
                bytes[at] = (byte)random.NextUInt64();
                break;
            case 2 when left > 0:
                bytes[at] = (byte)(bytes[at] + random.Next(-8, 9));
                break;
            case 3:
                Overwrite(bytes, at, Number());
                break;
            case 4:
                bytes.InsertRange(at, Number());
                break;
            case 5 when left > 0:
                bytes.RemoveRange(at, Length(left));
                break;
            case 6:
                bytes.InsertRange(at, Enumerable.Repeat((byte)random.NextUInt64(), Length(32)));
                break;
            case 7 when left > 0:
                bytes.InsertRange(random.Next(bytes.Count + 1), bytes.GetRange(at, Length(left)));
                break;
            case 8:
                Splice(bytes, at, pool[random.Next(pool.Count)]);
                break;
            case 9 when left > 1:
                bytes.Reverse(at, Length(left));
                break;
            case 10 when left > 0:
                Repeat(bytes, at, Length(left));
                break;
            case 11:
                bytes.InsertRange(at, words[random.Next(words.Count)]);
                break;
            case 12:
                Overwrite(bytes, at, words[random.Next(words.Count)]);
                break;
            default:
                bytes.Add((byte)random.NextUInt64());
                break;
        }
    }

    /// <summary>From 1 on, most often short.</summary>
    private int Length(int most) => 1 + random.Next(random.Chance(0.7) ? Math.Min(most, 8) : most);

    private void Splice(List<byte> bytes, int at, byte[] other)
    {
        if (other.Length > 0)
        {
            int from = random.Next(other.Length);
            int length = Length(other.Length - from);
            bytes.InsertRange(at, other[from..(from + length)]);
        }
    }

    private void Repeat(List<byte> bytes, int at, int length)
    {
        List<byte> piece = bytes.GetRange(at, length);
        int times = Math.Min(1 << random.Next(7), 1 + ((bytesMax - bytes.Count) / length));
        for (int i = 0; i < times && bytes.Count < bytesMax; i++)
        {
            bytes.InsertRange(at, piece);
        }
    }

    private static void Overwrite(List<byte> bytes, int at, IReadOnlyList<byte> piece)
    {
        for (int i = 0; i < piece.Count; i++)
        {
            if (at + i < bytes.Count)
            {
                bytes[at + i] = piece[i];
            }
            else
            {
                bytes.Add(piece[i]);
            }
        }
    }

    /// <summary>A number in one of the ways in which numbers are written.</summary>
    private byte[] Number()
    {
        ulong number = s_numbers[random.Next(s_numbers.Length)];
        number = random.Chance(0.2) ? number + (ulong)random.Next(16) - 8 : number;
        var wide = new byte[sizeof(ulong)];
        switch (random.Next(4))
        {
            case 0:
                BinaryPrimitives.WriteUInt64LittleEndian(wide, number);
                return wide[..(1 << random.Next(4))];
            case 1:
                BinaryPrimitives.WriteUInt64BigEndian(wide, number);
                return wide[^(1 << random.Next(4))..];
            case 2:
                return System.Text.Encoding.ASCII.GetBytes(random.Chance(0.5) ? number.ToString() : ((long)number).ToString());
            default:
                return Varint(number);
        }
    }

    private static byte[] Varint(ulong number)
    {
        var bytes = new List<byte>();
        for (; number >= 0x80; number >>= 7)
        {
            bytes.Add((byte)(number | 0x80));
        }

        bytes.Add((byte)number);
        return [.. bytes];
    }
}
